package infra_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/golden"
	"github.com/rutter-gateway/rutter/provisioner/infra"
)

func config() *infra.Config {
	return &infra.Config{
		EnvoyImage: "envoy:v1", RutterImage: "rutter:v1", XDSAddress: "rutter-xds.rutter.svc:18000",
		DrainLeast: 5 * time.Second, DrainMost: 30 * time.Second,
	}
}

// TestStories shows what an infrastructure comes to. Each archive has
// infrastructure.yaml and, where they are not the usual ones, config.yaml; what is
// expected are the objects that the story is about, by kind.
func TestStories(t *testing.T) {
	golden.Run(t, "testdata/*.txtar", func(t *testing.T, a *golden.Archive) {
		in, c := &routing.Infrastructure{}, config()
		must(t, yaml.UnmarshalStrict(a.Input("infrastructure.yaml"), in))
		for _, name := range a.Inputs("config.yaml") {
			must(t, yaml.UnmarshalStrict(a.Input(name), c))
		}
		objects, err := infra.Objects(types.NamespacedName{Namespace: "shop", Name: "gw"}, in, c)
		must(t, err)
		for _, o := range objects {
			for name, part := range parts(t, o) {
				if strings.Contains(a.Intent(), name) {
					a.Expect(name, part)
				}
			}
		}
	})
}

// parts are an object as YAML, under its kind: of a Deployment each container, and
// of a ConfigMap each file, by itself.
func parts(t *testing.T, o infra.Object) map[string][]byte {
	t.Helper()
	data, err := infra.Encode(o)
	must(t, err)
	var fields map[string]any
	must(t, json.Unmarshal(data, &fields))
	out := map[string][]byte{}
	show := func(v any) []byte {
		shown, err := yaml.Marshal(v)
		must(t, err)
		return shown
	}
	if files, ok := fields["data"].(map[string]any); ok {
		for name, content := range files {
			var file any
			must(t, json.Unmarshal([]byte(content.(string)), &file))
			out[name] = show(file)
		}
		fields["data"] = "see below"
	}
	if spec, ok := fields["spec"].(map[string]any); ok && spec["template"] != nil {
		pod := spec["template"].(map[string]any)["spec"].(map[string]any)
		for _, c := range pod["containers"].([]any) {
			name, _ := c.(map[string]any)["name"].(string)
			out["container "+name] = show(c)
		}
		pod["containers"] = "see below"
	}
	out[o.GetObjectKind().GroupVersionKind().Kind] = show(fields)
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEnvoyStaysBelowTheMemoryOfItsContainer(t *testing.T) {
	for name, c := range map[string]struct {
		in   routing.Infrastructure
		want string // of bootstrap.json
		not  string
	}{
		"no limit":          {routing.Infrastructure{Resources: &routing.Resources{Requests: map[string]string{"memory": "1Gi"}}}, `"maxActiveDownstreamConnections":"50000"`, "fixed_heap"},
		"nothing is said":   {routing.Infrastructure{}, `"maxActiveDownstreamConnections":"50000"`, "fixed_heap"},
		"a limit":           {routing.Infrastructure{Resources: &routing.Resources{Limits: map[string]string{"memory": "1Gi"}}}, `"maxHeapSizeBytes":"858993456"`, `"858993460"`},
		"fewer connections": {routing.Infrastructure{MaxConnections: 1000}, `"maxActiveDownstreamConnections":"1000"`, "50000"},
	} {
		c.in.Name = "gw-rutter"
		objects, err := infra.Objects(types.NamespacedName{Namespace: "shop", Name: "gw"}, &c.in, config())
		must(t, err)
		data, err := json.Marshal(objects[1])
		must(t, err)
		var config struct{ Data map[string]string }
		must(t, json.Unmarshal(data, &config))
		bootstrap := strings.ReplaceAll(config.Data["bootstrap.json"], ": ", ":")
		if !strings.Contains(bootstrap, c.want) || strings.Contains(bootstrap, c.not) {
			t.Errorf("%s: it has no %s, or has %s:\n%s", name, c.want, c.not, bootstrap)
		}
	}
}

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	in := &routing.Infrastructure{Name: "gw-rutter", UID: "u", Class: "rutter", Labels: map[string]string{"a": "1", "b": "2", "c": "3"}}
	encode := func() string {
		objects, err := infra.Objects(types.NamespacedName{Namespace: "shop", Name: "gw"}, in, config())
		must(t, err)
		data, err := json.Marshal(objects)
		must(t, err)
		return string(data)
	}
	first := encode()
	for range 20 {
		if encode() != first {
			t.Fatal("the second time something else comes out")
		}
	}
}

func TestAnInfrastructureIsReadAndNeverWritten(t *testing.T) {
	in := &routing.Infrastructure{Name: "gw-rutter", UID: "u", Labels: map[string]string{"gateway.networking.k8s.io/gateway-name": "mine"}, Addresses: []string{"192.0.2.1"}}
	objects, err := infra.Objects(types.NamespacedName{Namespace: "shop", Name: "gw"}, in, config())
	must(t, err)
	for _, o := range objects {
		if o.GetLabels()["gateway.networking.k8s.io/gateway-name"] != "gw" {
			t.Errorf("%s takes a label of ours from the Gateway", o.GetName())
		}
		o.GetLabels()["x"] = "y"
	}
	if len(in.Labels) != 1 || in.Labels["gateway.networking.k8s.io/gateway-name"] != "mine" {
		t.Errorf("the labels became %v", in.Labels)
	}
}

func TestEveryLabelIsOneThatTheAPIServerTakes(t *testing.T) {
	for _, name := range []string{"gw", strings.Repeat("a", 63), strings.Repeat("a.", 100) + "b", strings.Repeat("x", 253)} {
		for key, value := range infra.Selector(types.NamespacedName{Namespace: "shop", Name: name}) {
			if len(value) > 63 || strings.HasSuffix(value, ".") || strings.Contains(value, ".-") {
				t.Errorf("%s: label %s is %q", name, key, value)
			}
		}
	}
	long := strings.Repeat("x", 253)
	if one, other := infra.Selector(types.NamespacedName{Name: long}), infra.Selector(types.NamespacedName{Name: long[1:]}); one["gateway.networking.k8s.io/gateway-name"] == other["gateway.networking.k8s.io/gateway-name"] {
		t.Error("two Gateways have the same label")
	}
}
