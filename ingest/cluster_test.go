package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/apitest"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// world is a rig whose source is an API server.
type world struct {
	*rig
	api *apitest.Server
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{rig: newRig(t), api: apitest.New(t)}
	t.Cleanup(w.log.Close)
	w.config.Kubernetes = &Kubernetes{Config: w.api.Config(), RelistAfter: 50 * time.Millisecond}
	return w
}

// start runs ingest until stop, and returns when everything is listed.
func (w *world) start() (stop func()) {
	w.t.Helper()
	service, stop := w.begin()
	w.until("everything is listed", func() bool { return service.Ready() == nil })
	return stop
}

// dropped waits until so many changes were not recorded for a reason.
func (w *world) dropped(resource, reason string, want float64) {
	w.t.Helper()
	w.until(fmt.Sprintf("%v %s are dropped because %s", want, resource, reason), func() bool {
		return gwtest.Metric(w.t, w.registry, "rutter_ingest_events_dropped_total", "resource="+resource, "reason="+reason) == want
	})
}

func (w *world) begin() (s *Service, stop func()) {
	w.t.Helper()
	s, cancel, done := w.run(w.config)
	stopped := false
	stop = func() {
		w.t.Helper()
		if !stopped {
			stopped = true
			cancel()
			must(w.t, <-done)
		}
	}
	w.t.Cleanup(stop)
	return s, stop
}

// run runs ingest until cancel; done has its error.
func (w *world) run(c Config) (s *Service, cancel context.CancelFunc, done <-chan error) {
	w.t.Helper()
	w.registry = prometheus.NewRegistry()
	c.Registerer = w.registry
	s, err := New(c)
	must(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, cancel, ended
}

// until waits until something is so.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !so() {
		select {
		case <-ticker.C:
		case <-deadline:
			w.t.Fatalf("waited in vain until %s; recorded\n%s", what, strings.ReplaceAll(story(w.read(w.config.Events, 0)), ", ", "\n"))
		}
	}
}

// await waits until a stream tells a story from a sequence on, brackets aside.
func (w *world) await(s events.Stream, from uint64, want string) []events.Event {
	w.t.Helper()
	var list []events.Event
	w.until(want, func() bool {
		list = slices.DeleteFunc(w.read(s, from), func(e events.Event) bool { return e.Key.IsSync() || e.Type == events.TypeEpoch })
		return story(list) == want
	})
	return list
}

// listings are the lists that were recorded of a resource: "…" for the start, the
// reason of the problem or "whole" for the end.
func (w *world) listings(resource string) string {
	w.t.Helper()
	var out []string
	for _, e := range w.read(w.config.Events, 0) {
		if e.Key != events.ProblemKey(resource) {
			continue
		}
		var sync events.Sync
		must(w.t, json.Unmarshal(e.Data, &sync))
		switch {
		case e.Type == events.TypeSyncStart:
			out = append(out, "…")
		case sync.Problem != nil:
			out = append(out, sync.Problem.Reason)
		default:
			out = append(out, "listed")
		}
	}
	return strings.Join(out, " ")
}

func service(name string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: shop}, spec: {ports: [{port: 80}]}}
---
`, name)
}

const managed = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: a
  namespace: shop
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}
  managedFields: [{manager: argocd, operation: Apply, time: "2026-11-23T04:05:06Z", fieldsV1: {"f:spec": {}}}, {manager: rutter, operation: Update, subresource: status, time: "2026-11-23T05:00:00Z"}]
spec: {hostnames: [a.example], fieldOfTheFuture: {x: 1.5}}
status: {parents: []}
`

func TestAClusterIsRecordedAsItIs(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(service("web") + slice("web-1", "10.0.0.1") + managed)
	created := w.api.Revision()
	w.start()
	for _, e := range w.read(w.config.Events, 0) {
		if e.Key != routeKey("a") {
			continue
		}
		want := `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"creationTimestamp":"2026-11-23T04:05:06Z","generation":1,` +
			`"managedFields":[{"manager":"argocd","operation":"Apply","time":"2026-11-23T04:05:06Z"}],` +
			`"name":"a","namespace":"shop","resourceVersion":"` + fmt.Sprint(created) + `","uid":"shop/a-1"},"spec":{"fieldOfTheFuture":{"x":1.5},"hostnames":["a.example"]}}`
		if got := string(e.Data); got != want {
			t.Errorf("recorded\n%s, want\n%s", got, want)
		}
		if e.ID != fmt.Sprint("shop/a-1/", created) {
			t.Errorf("the id is %s", e.ID)
		}
	}
	next := w.after(w.config.Events)
	w.api.Apply(strings.ReplaceAll(managed, "parents: []", "parents: [{}]")) // only status
	w.api.Apply(route("a", "b.example"))
	w.api.Delete(events.HTTPRoutes, "shop/a")
	list := w.await(w.config.Events, next, "applied httproutes/a, deleted httproutes/a")
	if list[0].ID != fmt.Sprint("shop/a-1/", created+2) || list[1].ID != fmt.Sprint("shop/a-1/", created+3) {
		t.Errorf("the ids are %s and %s", list[0].ID, list[1].ID)
	}
	w.await(w.config.Endpoints, 0, "applied endpointslices/web-1")
}

func TestEveryListIsBracketedAndARestartRecordsTheDifference(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(routes(0, 3) + service("web"))
	stop := w.start()
	for _, resource := range w.resources() {
		if got := w.listings(resource); resource != events.EndpointSlices && got != "… listed" {
			t.Errorf("%s: %s", resource, got)
		}
	}
	if got := story(w.read(w.config.Endpoints, 0)); got != "epoch.opened, sync.started, sync.completed" {
		t.Errorf("of endpoints it recorded %s", got)
	}
	stop()
	next := w.after(w.config.Events)
	w.api.Apply(route("r00", "new.example") + route("r09", "a.example"))
	w.api.Delete(events.HTTPRoutes, "shop/r01")
	w.start()
	w.await(w.config.Events, next, "applied httproutes/r00, applied httproutes/r09, deleted httproutes/r01")
}

func (w *world) resources() []string { return (&clusterOrigin{}).resources() }

func TestOfAClusterEverythingIsRecordedThatADirectoryMayHave(t *testing.T) {
	for _, resource := range (manifestOrigin{}).resources() {
		if !slices.Contains((&clusterOrigin{}).resources(), resource) {
			t.Errorf("%s are not recorded of a cluster", resource)
		}
	}
}

func TestWithoutStreamedListsPagesAreRead(t *testing.T) {
	w := newWorld(t)
	w.api.NoWatchList()
	text := ""
	for i := range 1201 {
		text += route(fmt.Sprintf("r%04d", i), "a.example")
	}
	w.api.Apply(text)
	w.start()
	if n := w.count(); n != 1201 {
		t.Errorf("%d routes are recorded, want 1201", n)
	}
	if n := w.api.Asked("list httproutes"); n != 3 {
		t.Errorf("%d pages were asked for, want 3", n)
	}
	next := w.after(w.config.Events)
	w.api.Apply(route("more", "a.example"))
	w.await(w.config.Events, next, "applied httproutes/more")
}

func TestFieldsThatThisBuildDoesNotKnowAreRecorded(t *testing.T) {
	w := newWorld(t)
	w.start()
	next := w.after(w.config.Events)
	w.api.Apply(`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a, namespace: shop}, spec: {later: {a: [1, two]}, hostnames: [a.example]}}`)
	list := w.await(w.config.Events, next, "applied httproutes/a")
	if !strings.Contains(string(list[0].Data), `"later":{"a":[1,"two"]}`) {
		t.Errorf("recorded %s", list[0].Data)
	}
}

func TestAnObjectThatWasChangedAndChangedBackIsAnotherGeneration(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(route("a", "a.example"))
	stop := w.start()
	stop()
	next := w.after(w.config.Events)
	w.api.Apply(route("a", "b.example"))
	w.api.Apply(route("a", "a.example"))
	w.start()
	w.await(w.config.Events, next, "applied httproutes/a")
}

func TestAnObjectThatIsDeletedAndMadeAnewIsAnotherOne(t *testing.T) {
	w := newWorld(t)
	w.api.Apply(route("a", "a.example") + route("b", "a.example"))
	stop := w.start()
	next := w.after(w.config.Events)
	w.api.Delete(events.HTTPRoutes, "shop/b")
	w.api.Apply(route("b", "a.example"))
	w.await(w.config.Events, next, "deleted httproutes/b, applied httproutes/b")
	stop()
	next = w.after(w.config.Events)
	w.api.Delete(events.HTTPRoutes, "shop/a")
	w.api.Apply(route("a", "a.example"))
	w.start()
	w.await(w.config.Events, next, "applied httproutes/a")
}

func TestSecretsAreReadOnlyWhereAGatewayRefersToThem(t *testing.T) {
	w := newWorld(t)
	both := secret(t)
	cert, gateway, _ := strings.Cut(both, "---\n")
	other := strings.ReplaceAll(cert, "name: cert", "name: other")
	w.api.Apply(cert + "---\n" + other)
	stop := w.start()
	w.dropped(events.Secrets, "unreferenced", 2)
	if n := w.api.Asked("get secrets"); n != 0 || w.api.Asked("watch secrets") > 0 || w.api.Asked("list secrets") > 0 {
		t.Errorf("%d Secrets were read that nothing refers to", n)
	}
	next := w.after(w.config.Events)
	w.api.Apply(gateway)
	list := w.await(w.config.Events, next, "applied secrets/cert, applied gateways/gw")
	if strings.Contains(string(list[0].Data), "tls.key") {
		t.Error("the key is recorded in clear")
	}
	if n := w.api.Asked("get secrets"); n != 1 {
		t.Errorf("%d Secrets were read for one reference", n)
	}

	// It is followed from here on, also where it is gone and comes back.
	next = w.after(w.config.Events)
	renewed, _, _ := strings.Cut(secret(t), "---\n")
	w.api.Apply(renewed)
	w.await(w.config.Events, next, "applied secrets/cert")
	w.dropped(events.Secrets, "unchanged", 0)
	w.api.Apply(renewed)
	w.dropped(events.Secrets, "unchanged", 1)
	w.api.Delete(events.Secrets, "shop/cert")
	w.await(w.config.Events, next, "applied secrets/cert, deleted secrets/cert")
	w.api.Apply(renewed)
	w.await(w.config.Events, next, "applied secrets/cert, deleted secrets/cert, applied secrets/cert")

	// And while nobody looked.
	stop()
	next = w.after(w.config.Events)
	w.api.Apply(cert)
	stop = w.start()
	w.await(w.config.Events, next, "applied secrets/cert")
	stop()
	next = w.after(w.config.Events)
	w.api.Delete(events.Secrets, "shop/cert")
	w.start()
	w.await(w.config.Events, next, "deleted secrets/cert")
}

func TestASecretThatComesAfterItsGatewayIsRecordedThen(t *testing.T) {
	w := newWorld(t)
	cert, gateway, _ := strings.Cut(secret(t), "---\n")
	w.start()
	next := w.after(w.config.Events)
	w.api.Apply(gateway)
	w.await(w.config.Events, next, "applied gateways/gw")
	w.api.Apply(cert)
	w.await(w.config.Events, next, "applied gateways/gw, applied secrets/cert")
}

func TestTheParametersOfAClassAreRecordedWithTheKeysThatTheyName(t *testing.T) {
	w := newWorld(t)
	w.api.Apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: keys, namespace: infra}, data: {jwks.json: text}}")
	w.start()
	next := w.after(w.config.Events)
	w.api.Apply(`{apiVersion: rutter.dev/v1alpha1, kind: RutterClass, metadata: {name: tenants}, spec: {tenancy: {mode: authHeader,
		authHeader: {issuer: i, audiences: [a], jwks: {configMapRef: {namespace: infra, name: keys}}}}}}`)
	list := w.await(w.config.Events, next, "applied configmaps/keys, applied rutterclasses/tenants")
	if class := string(list[1].Data); !strings.Contains(class, `"apiVersion":"rutter.dev/v1alpha1","kind":"RutterClass"`) {
		t.Errorf("it is recorded as %s", class)
	}
}
