package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

func TestTheStatusWriterWritesWhatIsPublishedAndWhatServersRepeat(t *testing.T) {
	api := gwtest.Kubernetes(t)
	url := gwtest.NATS(t)
	log, err := natslog.Connect(t.Context(), natslog.Config{URL: url, Name: "test", Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer log.Close()
	streams := map[string]events.Stream{}
	for _, c := range events.Streams(1) {
		streams[c.Name], err = log.Stream(t.Context(), c)
		must(t, err)
	}
	client, err := dynamic.NewForConfig(api)
	must(t, err)
	routes := client.Resource(schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}).Namespace("default")
	route, err := routes.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": map[string]any{"name": "r"},
		"spec": map[string]any{"parentRefs": []any{map[string]any{"name": "gw"}}},
	}}, metav1.CreateOptions{})
	must(t, err)

	writer := startService(t, "status-writer", "--cluster", "c", "--nats-url", url, "--kubeconfig", kubeconfig(t, api))
	writer.eventually("/readyz", 200, "ok")
	publishVerdict(t, streams[events.StreamSnapshots], verdictOf(route, "True", "Accepted"))
	status := func(want string) func() error {
		return func() error {
			now, err := routes.Get(t.Context(), "r", metav1.GetOptions{})
			if text := fmt.Sprint(now.Object["status"]); err == nil && !strings.Contains(text, want) {
				err = errors.New("the status is " + text)
			}
			return err
		}
	}
	gwtest.Eventually(t, "status of the route", status("reason:Pending"))
	// What a server recorded before this status-writer started it repeats.
	receipt := &routing.Receipt{Server: "xds-0", Envoys: []routing.EnvoyReceipt{{
		Node: "envoy", Gateway: "default/gw", Held: events.Version{Incarnation: "i", Sequence: 1},
	}}}
	m, err := routing.EncodeHeartbeat("c", receipt, 1)
	must(t, err)
	must(t, log.Announce(t.Context(), m))
	gwtest.Eventually(t, "status of the route", status("reason:Programmed"))
	writer.eventually("/metrics", 200, `rutter_status_writes_total{resource="httproutes"} 2`)
	writer.eventually("/metrics", 200, `rutter_status_lag_messages{stream="SNAPSHOTS"} 0`)

	publishVerdict(t, streams[events.StreamSnapshots], verdictOf(route, "False", "NoMatchingParent"))
	gwtest.Eventually(t, "status of the route", status("reason:NoMatchingParent"))
	recorded := client.Resource(schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}).Namespace("default")
	gwtest.Eventually(t, "status of the route", func() error {
		list, err := recorded.List(t.Context(), metav1.ListOptions{})
		for i := range list.Items {
			if e := list.Items[i].Object; e["reason"] == "NoMatchingParent" && e["type"] == "Warning" {
				return err
			}
		}
		return errors.Join(err, fmt.Errorf("there is no Event among %d", len(list.Items)))
	})
}

func verdictOf(route *unstructured.Unstructured, accepted, reason string) routing.Verdict {
	return routing.Verdict{
		Object: events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: route.GetName()},
		UID:    string(route.GetUID()), Generation: route.GetGeneration(), Since: 1,
		Parents: []routing.ParentVerdict{{
			// With what the API server fills in, as it is recorded: without that, the status
			// as the API server gives it back is another one.
			Ref: routing.ParentRef{Group: new("gateway.networking.k8s.io"), Kind: new("Gateway"), Name: "gw"}, Gateway: "default/gw",
			Conditions: []routing.Condition{{Type: "Accepted", Status: accepted, Reason: reason, Message: reason + "."}},
		}},
	}
}

// publishVerdict appends a whole version with one verdict.
func publishVerdict(t *testing.T, snapshots events.Stream, v routing.Verdict) {
	t.Helper()
	info, err := snapshots.Info(t.Context())
	must(t, err)
	s := &routing.Snapshot{Version: events.Version{Incarnation: "i", Sequence: info.Last + 1}, Time: time.Now(), Verdicts: []routing.Verdict{v}}
	s.VerdictDigest = s.VerdictDigest.Add(v.Digest())
	messages, err := routing.EncodeSnapshot("c", s, 1<<20)
	must(t, err)
	_, err = snapshots.Publish(t.Context(), messages...)
	must(t, err)
}

// kubeconfig is a file that leads to an API server.
func kubeconfig(t testing.TB, api *rest.Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	c := clientcmdapi.NewConfig()
	c.Clusters["c"] = &clientcmdapi.Cluster{Server: api.Host, InsecureSkipTLSVerify: true}
	c.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: api.BearerToken}
	c.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	c.CurrentContext = "x"
	must(t, clientcmd.WriteToFile(*c, path))
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}
