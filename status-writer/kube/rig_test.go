package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

const controller = "rutter.dev/gateway-controller"

// rig is statuses on an API server, and a client of a test's own. Objects are in
// the namespace default; each test gives its own names.
type rig struct {
	*testing.T
	api      *rest.Config
	clients  clients
	statuses *Statuses
	registry *prometheus.Registry
	memory   *memoryAPI // nil for a real API server
}

// contract is what holds on every API server.
func contract() map[string]func(*rig) {
	return map[string]func(*rig){
		"status is written once":                        statusIsWrittenOnce,
		"what others wrote stays byte for byte":         foreignEntriesStay,
		"ancestors of others stay":                      ancestorsOfOthersStay,
		"a writer in a tight loop":                      writerInATightLoop,
		"a status that somebody clobbers is told":       clobberedStatusIsTold,
		"gone, and there again":                         goneAndThereAgain,
		"removal takes only what is ours":               removalTakesOnlyOurs,
		"a full list of parents":                        fullListOfParents,
		"long messages and odd reasons":                 longMessages,
		"Gateway and class":                             gatewayAndClass,
		"ListenerSet":                                   listenerSet,
		"RoutingPin":                                    routingPin,
		"a stale parent is never seen":                  staleParentIsNeverSeen,
		"a thousand routes at once":                     thousandRoutes,
		"two status-writers at once do no harm":         twoAtOnce,
		"a status-writer that lags takes nothing back":  laggardTakesNothingBack,
		"many changes of one Gateway become few writes": burstBecomesFewWrites,
	}
}

func TestStatuses(t *testing.T) {
	for name, run := range contract() {
		t.Run(name, func(t *testing.T) {
			memory, api := newMemoryAPI(t)
			r := newRig(t, api)
			r.memory = memory
			run(r)
		})
	}
}

func TestStatusesOnARealAPIServer(t *testing.T) {
	api := gwtest.Kubernetes(t)
	for name, run := range contract() {
		t.Run(name, func(t *testing.T) { run(newRig(t, api)) })
	}
}

func newRig(t *testing.T, api *rest.Config) *rig {
	t.Helper()
	clients, err := newClients(api)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{T: t, api: api, clients: clients}
}

// run makes statuses that watch until the test ends.
func (r *rig) run(recorder interface{ Record(Event) }) *Statuses {
	r.Helper()
	r.registry = prometheus.NewRegistry()
	s, err := New(Config{
		API: r.api, ControllerName: controller, Events: recorder, Registerer: r.registry,
		Logger: slog.New(slog.NewTextHandler(r.Output(), nil)),
	})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	r.Cleanup(func() { cancel(); running.Wait() })
	r.statuses = s
	return s
}

func routeKey(name string) events.Key {
	return events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: name}
}

func gatewayKey(name string) events.Key {
	return events.Key{Resource: events.Gateways, Namespace: "default", Name: name}
}

// create makes an object, which goes when the test ends.
func (r *rig) create(key events.Key, spec string) *object {
	r.Helper()
	body := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"namespace":%q},"spec":%s}`,
		groupVersion(key.Resource), kinds()[key.Resource], key.Name, key.Namespace, spec)
	o := &object{}
	r.must(r.clients.of(key.Resource).Post().Resource(key.Resource).NamespaceIfScoped(key.Namespace, key.Namespace != "").Body([]byte(body)).Do(context.Background()).Into(o))
	r.Cleanup(func() { r.remove(key) })
	return o
}

func (r *rig) remove(key events.Key) {
	err := r.clients.of(key.Resource).Delete().Resource(key.Resource).NamespaceIfScoped(key.Namespace, key.Namespace != "").Name(key.Name).Do(context.Background()).Error()
	if err != nil && !strings.Contains(err.Error(), "not found") {
		r.Error(err)
	}
}

// route makes a route that names Gateways.
func (r *rig) route(name string, gateways ...string) *object {
	r.Helper()
	return r.create(routeKey(name), routeSpec(gateways...))
}

func routeSpec(gateways ...string) string {
	var refs []string
	for _, g := range gateways {
		refs = append(refs, fmt.Sprintf(`{"group":"gateway.networking.k8s.io","kind":"Gateway","name":%q}`, g))
	}
	return `{"parentRefs":[` + strings.Join(refs, ",") + `]}`
}

const gatewaySpec = `{"gatewayClassName":"rutter","listeners":[{"name":"http","port":80,"protocol":"HTTP"}]}`

// get is an object as the API server has it now.
func (r *rig) get(key events.Key) *object {
	r.Helper()
	o := &object{}
	r.must(r.clients.of(key.Resource).Get().Resource(key.Resource).NamespaceIfScoped(key.Namespace, key.Namespace != "").Name(key.Name).Do(context.Background()).Into(o))
	return o
}

// patch merges into an object, or its status.
func (r *rig) patch(key events.Key, body string, sub ...string) (*object, error) {
	o := &object{}
	err := r.clients.of(key.Resource).Patch(types.MergePatchType).Resource(key.Resource).NamespaceIfScoped(key.Namespace, key.Namespace != "").Name(key.Name).
		SubResource(sub...).Body([]byte(body)).Do(context.Background()).Into(o)
	return o, err
}

// parents are those of a route's status, as the API server wrote them.
func (r *rig) parents(o *object) []json.RawMessage {
	r.Helper()
	var status struct{ Parents []json.RawMessage }
	if len(o.Status) > 0 {
		r.must(json.Unmarshal(o.Status, &status))
	}
	return status.Parents
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// eventually waits until there is no error.
func (r *rig) eventually(try func() error) {
	r.Helper()
	gwtest.Eventually(r, "what is written", try)
}

// known waits until the cache has an object as it is.
func (r *rig) known(key events.Key) {
	r.Helper()
	version := r.get(key).ResourceVersion
	r.eventually(func() error {
		if e, ok := r.statuses.cache.get(key); !ok || older(e.version, version) {
			return fmt.Errorf("%s is not known yet: %+v", key, e)
		}
		return nil
	})
}

// verdict is that on a route: accepted by Gateways.
func verdict(o *object, gateways ...string) routing.Verdict {
	v := routing.Verdict{Object: routeKey(o.Name), UID: string(o.UID), Generation: o.Generation, Since: 10}
	group, kind := "gateway.networking.k8s.io", "Gateway"
	for _, g := range gateways {
		v.Parents = append(v.Parents, routing.ParentVerdict{
			Ref: routing.ParentRef{Group: &group, Kind: &kind, Name: g}, Gateway: "default/" + g,
			Conditions: []routing.Condition{
				{Type: "Accepted", Status: "True", Reason: "Accepted", Message: "The route is accepted."},
				{Type: "ResolvedRefs", Status: "True", Reason: "ResolvedRefs", Message: "All references are resolved."},
			},
		})
	}
	return v
}

// of is the change that a verdict makes, with no Envoy connected.
func of(v routing.Verdict) func(conditions.Object) conditions.Object {
	return func(current conditions.Object) conditions.Object {
		return conditions.Of(conditions.Input{
			Verdict: v, Fleet: func(string) conditions.Fleet { return conditions.Fleet{} }, ControllerName: controller, Current: current, Now: time.Now(),
		}).Object
	}
}

func (r *rig) apply(v routing.Verdict) bool {
	r.Helper()
	wrote, err := r.statuses.Apply(context.Background(), v.Object, of(v))
	r.must(err)
	return wrote
}
