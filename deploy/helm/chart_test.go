package helm

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// helm runs bin/helm of the repository.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := filepath.Abs("../../bin/helm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal("this test needs Helm: run `make bin/helm`")
	}
	var out, complaints bytes.Buffer
	command := exec.CommandContext(t.Context(), path, args...)
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil {
		return out.String(), errors.New(complaints.String() + out.String())
	}
	return out.String(), nil
}

func render(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t, append([]string{"template", "rutter", "rutter", "--namespace", "rutter-system"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// variants are the values that are rendered, each into a golden of its name.
func variants() map[string][]string {
	return map[string][]string{
		"default":       nil,
		"external-nats": {"--set", "nats.url=tls://nats.example:4222,nats.credentialsSecret=creds,nats.tlsSecret=tls", "--show-only", "templates/projector.yaml"},
		"three-nats":    {"--set", "nats.replicas=3,nats.storage.className=fast", "--show-only", "templates/nats.yaml"},
		"no-actors": {
			"--set", "actors.enabled=false", "--show-only", "templates/ingest.yaml", "--show-only", "templates/provisioner.yaml",
		},
		"some-actors": {
			"--set-json", `actors.namespaceSelector={"matchLabels":{"team":"edge"}}`, "--show-only", "templates/actors.yaml",
		},
		"other-values": {
			"--set", "envoy.listenAddress=::,envoy.serviceType=ClusterIP,envoy.replicas=2,gatewayClass.name=edge,image.repository=registry.example/rutter,image.tag=v1",
			"--set-json", `gatewayClass.parameters={"proxy":{"replicas":2},"accessLog":{"sink":"None"},"tenancy":{"mode":"namespace"}}`,
			"--set-json", `tolerations=[{"key":"edge"}]`, "--set-json", `nodeSelector={"pool":"edge"}`,
			"--show-only", "templates/provisioner.yaml", "--show-only", "templates/gatewayclass.yaml",
		},
	}
}

func TestTheChartRendersAsItDid(t *testing.T) {
	for name, args := range variants() {
		golden, got := filepath.Join("testdata", name+".yaml"), render(t, args...)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is another one; `make update-golden` rewrites it, then read the difference", golden)
		}
	}
}

func TestTheChartIsWithoutFault(t *testing.T) {
	if out, err := helm(t, "lint", "--strict", "rutter"); err != nil {
		t.Errorf("%s%v", out, err)
	}
	for _, values := range []string{
		"nats.replicas=2", "envoy.serviceType=ExternalName", "unknown=1", "clusterName=A b", "log.level=loud", "xdsServer.port=0", "gatewayClass.controllerName=rutter", "envoy.drain.most=soon", "actors.enabled=perhaps",
	} {
		if _, err := helm(t, "template", "rutter", "rutter", "--set", values); err == nil || !strings.Contains(err.Error(), "schema") {
			t.Errorf("%s is taken: %v", values, err)
		}
	}
}

// objects are the documents of a rendered chart.
func objects(t *testing.T, rendered string) (list []*unstructured.Unstructured) {
	t.Helper()
	for decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(rendered), 4096); ; {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(o); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			list = append(list, o)
		}
	}
}

func TestPodsKeepToTheRestrictedStandardAndRolesToWhatTheyNeed(t *testing.T) {
	for name, args := range variants() {
		for _, o := range objects(t, render(t, args...)) {
			if strings.HasSuffix(o.GetKind(), "Role") {
				checkRules(t, name, o)
			}
			spec, ok, _ := unstructured.NestedMap(o.Object, "spec", "template", "spec")
			if !ok {
				continue
			}
			var pod corev1.PodSpec
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &pod); err != nil {
				t.Fatal(err)
			}
			what := name + ": " + o.GetKind() + " " + o.GetName()
			if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil || pod.AutomountServiceAccountToken == nil {
				t.Errorf("%s: %+v", what, s)
			}
			for i := range pod.Containers {
				s := pod.Containers[i].SecurityContext
				if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
					t.Errorf("%s: %+v", what, s)
				}
			}
		}
	}
}

// rightsAreTested are the roles that tests of their services hold to what those ask for,
// no less and no more (gwtest.Rights).
var rightsAreTested = []string{"rutter-init", "rutter-system-rutter-ingest", "rutter-system-rutter-provisioner", "rutter-system-rutter-status-writer"}

func checkRules(t *testing.T, name string, role *unstructured.Unstructured) {
	t.Helper()
	if !slices.Contains(rightsAreTested, role.GetName()) {
		t.Errorf("%s: nothing tests what %s %s is for", name, role.GetKind(), role.GetName())
	}
	rules, _, _ := unstructured.NestedSlice(role.Object, "rules")
	for _, rule := range rules {
		for _, list := range rule.(map[string]any) {
			if slices.Contains(list.([]any), any("*")) {
				t.Errorf("%s: %s %s has a rule for everything", name, role.GetKind(), role.GetName())
			}
		}
	}
}

// Whoever has them installed decides about the definitions of the Gateway API.
func TestTheChartBringsNoDefinitionOfTheGatewayAPI(t *testing.T) {
	own := 0
	for _, o := range objects(t, render(t, "--include-crds")) {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		if group, _, _ := unstructured.NestedString(o.Object, "spec", "group"); group != "rutter.dev" {
			t.Errorf("it brings %s", o.GetName())
		}
		own++
	}
	if own != 2 {
		t.Errorf("it brings %d definitions, want the two of Rutter", own)
	}
}

func TestAnAPIServerTakesAllThatTheChartRenders(t *testing.T) {
	api := gwtest.Kubernetes(t)
	client, err := dynamic.NewForConfig(api)
	if err != nil {
		t.Fatal(err)
	}
	found, err := discovery.NewDiscoveryClientForConfig(api)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(found)
	if err != nil {
		t.Fatal(err)
	}
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	for name, args := range variants() {
		for _, o := range objects(t, render(t, append(slices.Clone(args), "--namespace", "default")...)) {
			mapping, err := mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
			if err != nil {
				t.Fatal(err)
			}
			var target dynamic.ResourceInterface = client.Resource(mapping.Resource)
			if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
				target = client.Resource(mapping.Resource).Namespace("default")
			}
			_, err = target.Create(t.Context(), o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				t.Errorf("%s: %s %s: %v", name, o.GetKind(), o.GetName(), err)
			}
		}
	}
}
