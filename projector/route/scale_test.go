package route

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// world is n routes, each with its own hostname and Service, on one Gateway.
func world(t *testing.T, n int) (*fold.State, func(resource, namespace, name string, generation int, spec map[string]any) []events.Key) {
	t.Helper()
	s := fold.NewState("test")
	h := gwtest.NewHistory(0)
	if _, err := s.Apply(h.Next()); err != nil {
		t.Fatal(err)
	}
	apply := func(resource, namespace, name string, generation int, spec map[string]any) []events.Key {
		key := events.Key{Resource: resource, Namespace: namespace, Name: name}
		data, _ := json.Marshal(map[string]any{"metadata": map[string]any{"name": name, "namespace": namespace, "generation": generation, "uid": name}, "spec": spec})
		h.Sequence++
		keys, err := s.Apply(events.Event{Sequence: h.Sequence, ID: fmt.Sprint(h.Sequence), Type: events.ObjectApplied, Key: key, Data: data})
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	apply(events.GatewayClasses, "", "ours", 1, map[string]any{"controllerName": "rutter.dev/gateway-controller"})
	apply(events.Gateways, "a", "gw", 1, map[string]any{"gatewayClassName": "ours", "listeners": []any{map[string]any{"name": "http", "port": 80, "protocol": "HTTP"}}})
	for i := range n {
		apply(events.Services, "a", fmt.Sprintf("s%d", i), 0, map[string]any{"ports": []any{map[string]any{"port": 80}}})
		apply(events.HTTPRoutes, "a", fmt.Sprintf("r%d", i), 1, routeTo(i, "/"))
	}
	return s, apply
}

func routeTo(i int, path string) map[string]any {
	return map[string]any{
		"parentRefs": []any{map[string]any{"name": "gw"}}, "hostnames": []any{fmt.Sprintf("h%d.example.com", i)},
		"rules": []any{map[string]any{
			"matches":     []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": path}}},
			"backendRefs": []any{map[string]any{"name": fmt.Sprintf("s%d", i), "port": 80}},
		}},
	}
}

func TestOneRouteCostsTheSameWithTenOrTwoThousandOthers(t *testing.T) {
	counts := map[string][]int{}
	for _, n := range []int{10, 2000} {
		s, apply := world(t, n)
		tables := New(0)
		tables.Build(s, append(s.Keys(), events.EpochKey(events.StreamEvents)))
		step := func(name string, keys []events.Key) {
			tables.Build(s, keys)
			counts[name] = append(counts[name], tables.Recomputed)
		}
		step("changed rule", apply(events.HTTPRoutes, "a", "r5", 2, routeTo(5, "/new")))
		step("new route", apply(events.HTTPRoutes, "a", "new", 1, routeTo(n, "/")))
		step("new route that shadows another", apply(events.HTTPRoutes, "a", "ahead", 1, routeTo(7, "/")))
		step("new service", apply(events.Services, "a", fmt.Sprintf("s%d", n), 0, map[string]any{"ports": []any{map[string]any{"port": 80}}}))
		step("nothing that matters", apply(events.Gateways, "a", "gw", 1, map[string]any{"gatewayClassName": "ours", "listeners": []any{map[string]any{"name": "http", "port": 80, "protocol": "HTTP"}}}))
	}
	for name, c := range counts {
		if c[0] != c[1] || c[0] > 6 {
			t.Errorf("%s: recomputed %d outputs among 10 routes and %d among 2,000", name, c[0], c[1])
		}
	}
}

// setsWorld is n ListenerSets of one Gateway, each with a namespace, a certificate, two
// listeners and 16 routes of its own.
func setsWorld(t *testing.T, n int) (*fold.State, func(resource, namespace, name string, generation int, spec map[string]any) []events.Key) {
	t.Helper()
	s, apply := world(t, 0)
	apply(events.Gateways, "a", "gw", 1, map[string]any{
		"gatewayClassName": "ours", "allowedListeners": map[string]any{"namespaces": map[string]any{"from": "All"}},
		"listeners": []any{map[string]any{"name": "http", "port": 80, "protocol": "HTTP", "hostname": "gw.example.com"}},
	})
	for i := range n {
		namespace := fmt.Sprintf("team-%d", i)
		apply(events.ListenerSets, namespace, "set", 1, setOf(namespace, ""))
		apply(events.Services, namespace, "s", 0, map[string]any{"ports": []any{map[string]any{"port": 80}}})
		for j := range 16 {
			apply(events.HTTPRoutes, namespace, fmt.Sprintf("r%d", j), 1, routeOfSet(namespace, j, "/"))
		}
	}
	return s, apply
}

func setOf(namespace, more string) map[string]any {
	return map[string]any{"parentRef": map[string]any{"name": "gw", "namespace": "a"}, "listeners": []any{
		map[string]any{"name": "http", "port": 80, "protocol": "HTTP", "hostname": "*." + namespace + more + ".example.com"},
		map[string]any{"name": "tls", "port": 443, "protocol": "TLS", "hostname": "*." + namespace + ".example.com", "tls": map[string]any{"mode": "Passthrough"}},
	}}
}

func routeOfSet(namespace string, i int, path string) map[string]any {
	spec := routeTo(i, path)
	spec["parentRefs"] = []any{map[string]any{"kind": "ListenerSet", "name": "set"}}
	spec["hostnames"] = []any{fmt.Sprintf("h%d.%s.example.com", i, namespace)}
	return spec
}

// A ListenerSet costs what depends on its own listeners, and one look at all of them
// together, which is one output.
func TestOneRouteOrListenerSetCostsTheSameAmongManyListenerSets(t *testing.T) {
	counts := map[string][]int{}
	for _, n := range []int{2, 300} {
		s, apply := setsWorld(t, n)
		tables := New(0)
		tables.Build(s, append(s.Keys(), events.EpochKey(events.StreamEvents)))
		step := func(name string, keys []events.Key) {
			tables.Build(s, keys)
			counts[name] = append(counts[name], tables.Recomputed)
		}
		step("changed rule", apply(events.HTTPRoutes, "team-1", "r5", 2, routeOfSet("team-1", 5, "/new")))
		step("new route", apply(events.HTTPRoutes, "team-1", "new", 1, routeOfSet("team-1", 16, "/")))
		step("new ListenerSet", apply(events.ListenerSets, "new", "set", 1, setOf("new", "")))
		step("changed ListenerSet", apply(events.ListenerSets, "team-1", "set", 2, setOf("team-1", ".x")))
		step("nothing that matters", apply(events.ListenerSets, "team-1", "set", 2, setOf("team-1", ".x")))
		if n := len(tables.hosts[chainID{"a/gw", "http-80"}]); n < 16 {
			t.Fatalf("only %d hosts are served", n)
		}
	}
	most := map[string]int{"changed rule": 6, "new route": 6, "new ListenerSet": 6, "changed ListenerSet": 60, "nothing that matters": 1}
	for name, c := range counts {
		if c[0] != c[1] || c[0] > most[name] {
			t.Errorf("%s: recomputed %d outputs among 2 ListenerSets and %d among 300", name, c[0], c[1])
		}
	}
}
