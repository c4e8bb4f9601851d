package envoy

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/route"
)

// specifier makes random routes, and requests that meet several of them.
type specifier struct{ *rand.Rand }

func choose[T any](g specifier, list ...T) T { return list[g.IntN(len(list))] }

func (g specifier) world() *specified {
	s := &specified{listeners: []specifiedListener{{"any", 80, ""}, {"wide", 8080, "*.test"}, {"narrow", 8080, "a.test"}, {"rest", 8080, ""}}}
	used := map[bool][]specifiedMatch{}
	for i := range 30 {
		r := &specifiedRoute{
			name: fmt.Sprintf("r%02d", i), grpc: g.IntN(4) == 0, section: choose(g, "", "", "", "any", "wide", "narrow"),
			created: time.Date(2026, 1, 1, 0, g.IntN(3), 0, 0, time.UTC),
		}
		for range g.IntN(3) {
			if name := choose(g, "a.test", "b.test", "x.a.test", "*.test", "*.a.test"); !slices.Contains(r.hostnames, name) {
				r.hostnames = append(r.hostnames, name)
			}
		}
		for range 1 + g.IntN(3) {
			var matches []specifiedMatch
			for range 1 + g.IntN(3) {
				m := g.match(r.grpc)
				if before := used[r.grpc]; len(before) > 0 {
					switch other := choose(g, before...); g.IntN(3) {
					case 0: // decided by age, name or place
						m = other
					case 1: // decided by the number of conditions
						m.kind, m.path, m.service, m.method = other.kind, other.path, other.service, other.method
					}
				}
				used[r.grpc] = append(used[r.grpc], m)
				matches = append(matches, m)
			}
			r.rules = append(r.rules, matches)
		}
		s.routes = append(s.routes, r)
	}
	return s
}

func (g specifier) match(grpc bool) specifiedMatch {
	m := specifiedMatch{regexps: g.IntN(3) == 0}
	values := []string{"1", "2"}
	if m.regexps {
		values = []string{"[12]", "1.*", "[34]"}
	}
	m.headers = g.some(3, values, "x-a", "x-b")
	if grpc {
		m.service, m.method = choose(g, "", "s.A", "s.Long"), choose(g, "", "Get", "Publish")
		return m
	}
	m.query = g.some(2, values, "p", "q")
	m.method = choose(g, "", "", "GET", "POST")
	m.kind, m.path = choose(g, "Exact", "PathPrefix", "PathPrefix"), choose(g, "/", "/a", "/a/b", "/a/b/c", "/s.A")
	if g.IntN(4) == 0 {
		m.kind, m.path = "RegularExpression", choose(g, "/a.*", "/.*b", "/a/(b|c)", "/s.*")
	}
	return m
}

// some gives values to one in so many of the names.
func (g specifier) some(oneIn int, values []string, names ...string) map[string]string {
	out := map[string]string{}
	for _, name := range names {
		if g.IntN(oneIn) == 0 {
			out[name] = choose(g, values...)
		}
	}
	return out
}

func (g specifier) request() *specifiedRequest {
	r := &specifiedRequest{
		port: choose(g, 80, 8080), host: choose(g, "a.test", "a.test", "b.test", "x.a.test", "y.a.test", "z.test", "other"),
		method: choose(g, "GET", "POST"), path: choose(g, "/", "/a", "/a/b", "/a/b/c", "/ab", "/a/c", "/s.A"),
		headers: g.some(1, []string{"1", "1", "1", "2"}, "x-a", "x-b"), query: g.some(1, []string{"1", "1", "1", "2"}, "p", "q"),
		grpc: g.IntN(3) == 0,
	}
	if r.grpc {
		r.service, r.procedure = choose(g, "s.A", "s.Long", "s.Other"), choose(g, "Get", "Publish", "Other")
		r.method, r.path = "POST", "/"+r.service+"/"+r.procedure
	}
	return r
}

// text is a request as it is sent.
func (r *specifiedRequest) text() string {
	target, separator := r.path, "?"
	for _, name := range slices.Sorted(maps.Keys(r.query)) {
		target += separator + name + "=" + r.query[name]
		separator = "&"
	}
	out := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: 0\r\n", r.method, target, r.host)
	for _, name := range slices.Sorted(maps.Keys(r.headers)) {
		out += name + ": " + r.headers[name] + "\r\n"
	}
	if r.grpc {
		out += "Content-Type: application/grpc\r\n"
	}
	return out + "\r\n"
}

// projected is what packages fold and route make of it.
func (s *specified) projected(t *testing.T, layout route.Layout) *world {
	t.Helper()
	state := fold.NewState("specified")
	apply := func(kind events.Type, key events.Key, payload any) {
		t.Helper()
		data, err := json.Marshal(payload)
		if err == nil {
			_, err = state.Apply(events.Event{Sequence: state.Version.Sequence + 1, ID: key.String(), Type: kind, Cluster: "local", Key: key, Data: data})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	object := func(resource, namespace, name string, created time.Time, spec any) {
		t.Helper()
		metadata := map[string]any{"name": name, "uid": name, "generation": 1, "creationTimestamp": created}
		if namespace != "" {
			metadata["namespace"] = namespace
		}
		apply(events.ObjectApplied, events.Key{Resource: resource, Namespace: namespace, Name: name}, map[string]any{"metadata": metadata, "spec": spec})
	}
	settings := events.Settings{ControllerName: "rutter.dev/gateway-controller", ListenAddress: "127.0.0.1", RouteLayout: string(layout)}
	apply(events.TypeEpoch, events.EpochKey(events.StreamEvents), events.EpochOpened{Epoch: 1, Holder: "test", Settings: &settings})
	object(events.GatewayClasses, "", "rutter", time.Time{}, map[string]any{"controllerName": settings.ControllerName})
	object(events.Services, "default", "web", time.Time{}, map[string]any{"ports": []any{map[string]any{"port": 80}}})
	var listeners []any
	for _, l := range s.listeners {
		listener := map[string]any{"name": l.name, "port": l.port, "protocol": "HTTP"}
		if l.hostname != "" {
			listener["hostname"] = l.hostname
		}
		listeners = append(listeners, listener)
	}
	object(events.Gateways, "default", "gw", time.Time{}, map[string]any{"gatewayClassName": "rutter", "listeners": listeners})
	for _, r := range s.routes {
		resource := events.HTTPRoutes
		if r.grpc {
			resource = events.GRPCRoutes
		}
		object(resource, "default", r.name, r.created, r.spec())
	}
	tables := route.New(0)
	change := tables.Build(state, append(state.Keys(), events.EpochKey(events.StreamEvents)))
	w := newWorld(layout)
	w.gateways[testGateway] = tables.Gateway(testGateway)
	for _, chain := range w.gateways[testGateway].Chains {
		for _, h := range tables.Hosts(testGateway, chain.ID) {
			w.hosts[h.ID] = h
		}
	}
	for _, id := range change.Clusters {
		w.clusters[id] = tables.Cluster(id)
	}
	return w
}

func (r *specifiedRoute) spec() map[string]any {
	parent := map[string]any{"name": "gw"}
	if r.section != "" {
		parent["sectionName"] = r.section
	}
	var rules []any
	for _, matches := range r.rules {
		var list []any
		for _, m := range matches {
			list = append(list, m.spec(r.grpc))
		}
		rules = append(rules, map[string]any{"matches": list, "backendRefs": []any{map[string]any{"name": "web", "port": 80}}})
	}
	return map[string]any{"parentRefs": []any{parent}, "hostnames": r.hostnames, "rules": rules}
}

func (m specifiedMatch) spec(grpc bool) map[string]any {
	values := func(of map[string]string) (list []any) {
		for _, name := range slices.Sorted(maps.Keys(of)) {
			kind := "Exact"
			if m.regexps {
				kind = "RegularExpression"
			}
			list = append(list, map[string]any{"type": kind, "name": name, "value": of[name]})
		}
		return list
	}
	out := map[string]any{"headers": values(m.headers)}
	switch {
	case !grpc:
		out["queryParams"], out["path"] = values(m.query), map[string]any{"type": m.kind, "value": m.path}
		if m.method != "" {
			out["method"] = m.method
		}
	case m.service != "" || m.method != "":
		method := map[string]any{"type": "Exact"}
		if m.service != "" {
			method["service"] = m.service
		}
		if m.method != "" {
			method["method"] = m.method
		}
		out["method"] = method
	}
	return out
}
