package gwtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// History makes random events over a small world, so that every object is
// created, changed, referred to before it exists, deleted and made again.
type History struct {
	rng      *rand.Rand
	Sequence uint64
	versions map[events.Key]int64
}

// NewHistory is the history of a seed: always the same.
func NewHistory(seed uint64) *History {
	return &History{rng: rand.New(rand.NewPCG(seed, 0)), versions: map[events.Key]int64{}}
}

func pick[T any](h *History, from ...T) T { return from[h.rng.IntN(len(from))] }

func (h *History) chance(percent int) bool { return h.rng.IntN(100) < percent }

// Epoch is the first event: settings, and a world that counts as synced.
func (h *History) Epoch() events.Event {
	h.Sequence++
	settings := events.Settings{ControllerName: "rutter.dev/gateway-controller", ListenAddress: "127.0.0.1", RouteLayout: pick(h, "plain", "scoped"), Provisioned: pick(h, true, false)}
	data, _ := json.Marshal(events.EpochOpened{Epoch: h.Sequence, Holder: "test", Settings: &settings})
	return events.Event{Sequence: h.Sequence, ID: "epoch", Type: events.TypeEpoch, Key: events.EpochKey(events.StreamEvents), Data: data, Time: h.now()}
}

func (h *History) now() time.Time {
	return time.Date(2026, 1, 1, 0, 0, int(h.Sequence), 0, time.UTC)
}

// Next is a random change of a random object; the first opens an epoch.
func (h *History) Next() events.Event {
	if h.Sequence == 0 || h.chance(2) {
		return h.Epoch()
	}
	h.Sequence++
	if h.chance(3) {
		return h.listed()
	}
	if h.chance(3) {
		return h.moment()
	}
	key, object := h.object()
	e := events.Event{Sequence: h.Sequence, Type: events.ObjectApplied, Key: key, ID: fmt.Sprint(h.Sequence), Time: h.now()}
	if h.versions[key] > 0 && h.chance(20) {
		e.Type = events.ObjectDeleted
		delete(h.versions, key)
		return e
	}
	h.versions[key]++
	metadata := map[string]any{
		"ownerReferences": []any{map[string]any{"uid": pick(h, "gateways/a/gw", "gateways/b/gw")}},
		"name":            key.Name, "uid": key.String(), "generation": h.versions[key],
		"creationTimestamp": time.Date(2026, 1, 1, 0, h.rng.IntN(3), 0, 0, time.UTC).Format(time.RFC3339),
	}
	if key.Namespace != "" {
		metadata["namespace"] = key.Namespace
	}
	if key.Resource == events.Namespaces {
		metadata["labels"] = map[string]any{"team": pick(h, "x", "y")}
	}
	if key.Resource == events.CustomResourceDefinitions {
		metadata["annotations"] = map[string]any{"gateway.networking.k8s.io/bundle-version": pick(h, "v1.7.0", "v1.99.0", "")}
	}
	object["metadata"] = metadata
	e.Data, _ = json.Marshal(object)
	if h.chance(2) {
		e.Data = []byte(`{"spec": 7, "metadata": {}}`)
	}
	return e
}

// moment is that time has come for a Secret, which may not be there.
func (h *History) moment() events.Event {
	data, _ := json.Marshal(events.TimeReached{Time: h.now().Add(time.Duration(h.rng.IntN(20)) * time.Second)})
	key := events.Key{Resource: events.Secrets, Namespace: pick(h, "a", "b"), Name: "cert"}
	return events.Event{Sequence: h.Sequence, Type: events.TypeTime, Key: key, ID: fmt.Sprint(h.Sequence), Time: h.now(), Data: data}
}

// listed is the end of a list, with a problem or without.
func (h *History) listed() events.Event {
	sync := events.Sync{Resource: pick(h, events.HTTPRoutes, events.Secrets)}
	if h.chance(50) {
		sync.Problem = &events.SyncProblem{Reason: events.ReasonForbidden, Message: pick(h, "One.", "Another.")}
	}
	data, _ := json.Marshal(sync)
	return events.Event{Sequence: h.Sequence, Type: events.TypeSyncDone, Key: events.ProblemKey(sync.Resource), ID: fmt.Sprint(h.Sequence), Time: h.now(), Data: data}
}

func (h *History) object() (events.Key, map[string]any) {
	namespace := pick(h, "a", "b")
	switch h.rng.IntN(22) {
	case 0, 21:
		if h.chance(20) {
			return events.Key{Resource: events.RutterClasses, Name: "parameters"}, map[string]any{"spec": h.parameters()}
		}
		spec := map[string]any{"controllerName": pick(h, "rutter.dev/gateway-controller", "rutter.dev/gateway-controller", "example.com/other")}
		if h.chance(15) {
			spec["parametersRef"] = map[string]any{"group": "rutter.dev", "kind": "RutterClass", "name": "parameters"}
		}
		return events.Key{Resource: events.GatewayClasses, Name: pick(h, "ours", "foreign")}, map[string]any{"spec": spec}
	case 1, 2:
		return events.Key{Resource: events.Gateways, Namespace: namespace, Name: "gw"}, map[string]any{"spec": h.gateway()}
	case 19, 20:
		return events.Key{Resource: events.ListenerSets, Namespace: namespace, Name: pick(h, "set1", "set2")}, map[string]any{"spec": h.listenerSet()}
	case 3:
		return events.Key{Resource: events.ReferenceGrants, Namespace: namespace, Name: pick(h, "g1", "g2")}, map[string]any{"spec": h.grant()}
	case 4:
		return events.Key{Resource: events.Services, Namespace: namespace, Name: pick(h, "s1", "s2")}, map[string]any{"spec": map[string]any{
			"ports": []any{map[string]any{"name": pick(h, "", "web"), "port": 80, "protocol": pick(h, "TCP", "TCP", "UDP"), "appProtocol": pick(h, "http", "kubernetes.io/h2c", "https", "mysql")}},
		}}
	case 5:
		return events.Key{Resource: events.Namespaces, Name: namespace}, map[string]any{}
	case 6:
		pair := map[string]any{
			"fingerprint": pick(h, "f1", "f2"), "sealedKey": "c2VhbGVk", "dnsNames": []any{pick(h, "*.example.com", "other.org")},
			"notBefore": "2026-01-01T00:00:20Z", "notAfter": "2026-01-01T00:00:40Z", "rsaBits": pick(h, 0, 1024, 2048),
		}
		if h.chance(30) {
			pair = map[string]any{"problem": "the certificate does not match the key"}
		}
		return events.Key{Resource: events.Secrets, Namespace: namespace, Name: "cert"},
			map[string]any{"data": map[string]any{"tls.crt": "Y2hhaW4="}, "keyPair": pair}
	case 7, 8:
		return events.Key{Resource: events.GRPCRoutes, Namespace: namespace, Name: pick(h, "r1", "r2")}, map[string]any{"spec": h.grpcRoute()}
	case 9, 10:
		return events.Key{Resource: pick(h, events.TLSRoutes, events.TCPRoutes, events.UDPRoutes), Namespace: namespace, Name: pick(h, "r1", "r2")}, map[string]any{"spec": h.stream()}
	case 15:
		return events.Key{Resource: events.CustomResourceDefinitions, Name: pick(h, "gateways", "httproutes") + ".gateway.networking.k8s.io"}, map[string]any{}
	case 11:
		return events.Key{Resource: events.Services, Namespace: namespace, Name: "gw-ours"}, h.provisioned()
	case 12, 13:
		return events.Key{Resource: events.BackendTLSPolicies, Namespace: namespace, Name: pick(h, "p1", "p2")}, map[string]any{"spec": h.policy()}
	case 14:
		if h.chance(30) {
			return events.Key{Resource: events.ClusterTrustBundles, Name: "ca"}, map[string]any{"spec": map[string]any{"trustBundle": pick(h, "", Authority)}}
		}
		return events.Key{Resource: events.ConfigMaps, Namespace: namespace, Name: "ca"}, map[string]any{"data": map[string]any{"ca.crt": pick(h, "", Authority, OtherAuthority)}}
	default:
		return events.Key{Resource: events.HTTPRoutes, Namespace: namespace, Name: pick(h, "r1", "r2", "r3")}, map[string]any{"spec": h.route()}
	}
}

// parameters are those of a class.
func (h *History) parameters() map[string]any {
	spec := map[string]any{}
	if h.chance(50) {
		spec["tenancy"] = map[string]any{"mode": pick(h, "namespace", "labelSelector", "authHeader"), "authHeader": map[string]any{
			"issuer": "i", "audiences": []any{"a"}, "claim": pick(h, "", "team"), "jwks": map[string]any{"url": pick(h, "http://one.test", "http://two.test", "none")},
		}, "tenantIDLabel": pick(h, "team", "team", ""), "allowedNamespaces": pick(h, []any{}, []any{"b"})}
	}
	if h.chance(50) {
		spec["proxy"] = map[string]any{"replicas": pick(h, 1, 2), "service": map[string]any{"annotations": map[string]any{pick(h, "a", "b", "c", "no name"): "x"}}}
	}
	return spec
}

func (h *History) hostname() string {
	return pick(h, "www.example.com", "*.example.com", "a.b.example.com", "*.com", "other.org")
}

func (h *History) gateway() map[string]any {
	validation := func() map[string]any {
		kind := pick(h, "ConfigMap", "ConfigMap", "Service")
		return map[string]any{"validation": map[string]any{
			"mode":              pick(h, "AllowValidOnly", "AllowInsecureFallback"),
			"caCertificateRefs": []any{map[string]any{"group": "", "kind": kind, "name": "ca", "namespace": pick(h, "a", "b")}},
		}}
	}
	tls := map[string]any{}
	if h.chance(30) {
		tls["backend"] = map[string]any{"clientCertificateRef": map[string]any{"name": "cert", "namespace": pick(h, "a", "b")}}
	}
	if h.chance(30) {
		tls["frontend"] = map[string]any{"default": validation(), "perPort": []any{map[string]any{"port": 443, "tls": pick(h, validation(), map[string]any{})}}}
	}
	spec := map[string]any{"gatewayClassName": pick(h, "ours", "ours", "ours", "foreign"), "listeners": h.listeners(), "tls": tls}
	if h.chance(80) {
		spec["allowedListeners"] = map[string]any{"namespaces": h.namespaces("None", "Same", "All", "All", "Selector")}
	}
	if h.chance(30) {
		spec["addresses"] = []any{map[string]any{"type": pick(h, "IPAddress", "Hostname", "example.com/x"), "value": pick(h, "", "127.0.0.1", "192.0.2.1")}}
	}
	if h.chance(30) {
		spec["infrastructure"] = map[string]any{"labels": map[string]any{"tier": pick(h, "1", "2")}}
	}
	return spec
}

func (h *History) listenerSet() map[string]any {
	parent := map[string]any{"name": "gw", "kind": pick(h, "Gateway", "Gateway", "Gateway", "Other")}
	if h.chance(60) {
		parent["namespace"] = pick(h, "a", "b")
	}
	return map[string]any{"parentRef": parent, "listeners": h.listeners()}
}

// listeners are of a Gateway or a ListenerSet: their names repeat.
func (h *History) listeners() []any {
	var listeners []any
	for i := range 1 + h.rng.IntN(4) {
		l := map[string]any{"name": fmt.Sprintf("l%d", i), "port": pick(h, 80, 81, 443), "protocol": pick(h, "HTTP", "HTTP", "HTTPS", "TLS", "TCP", "UDP", "own")}
		if h.chance(70) {
			l["hostname"] = h.hostname()
		}
		switch l["protocol"] {
		case "HTTPS", "TLS":
			l["tls"] = map[string]any{"mode": pick(h, "Terminate", "Passthrough"), "certificateRefs": []any{map[string]any{"name": "cert", "namespace": pick(h, "a", "b")}}}
		case "TCP", "UDP":
			delete(l, "hostname")
		}
		l["allowedRoutes"] = map[string]any{"namespaces": h.namespaces("Same", "All", "Selector")}
		listeners = append(listeners, l)
	}
	return listeners
}

func (h *History) namespaces(from ...string) map[string]any {
	namespaces := map[string]any{"from": pick(h, from...)}
	if namespaces["from"] == "Selector" {
		namespaces["selector"] = map[string]any{"matchLabels": map[string]any{"team": "x"}}
	}
	return namespaces
}

// provisioned is a Service that may be that of a Gateway.
func (h *History) provisioned() map[string]any {
	var ingress []any
	if h.chance(70) {
		ingress = append(ingress, map[string]any{"ip": pick(h, "192.0.2.1", "192.0.2.2")})
	}
	return map[string]any{
		"spec":   map[string]any{"type": "LoadBalancer", "ports": []any{map[string]any{"port": 80}}},
		"status": map[string]any{"loadBalancer": map[string]any{"ingress": ingress}},
	}
}

func (h *History) grant() map[string]any {
	return map[string]any{
		"from": []any{map[string]any{"group": "gateway.networking.k8s.io", "kind": pick(h, "HTTPRoute", "GRPCRoute", "TLSRoute", "UDPRoute", "Gateway", "ListenerSet"), "namespace": pick(h, "a", "b")}},
		"to":   []any{map[string]any{"group": "", "kind": pick(h, "Service", "Secret", "ConfigMap")}},
	}
}

func (h *History) route() map[string]any {
	var parents, hostnames, rules []any
	for range 1 + h.rng.IntN(2) {
		p := map[string]any{"name": "gw", "namespace": pick(h, "a", "b")}
		if h.chance(30) {
			p["kind"], p["name"] = "ListenerSet", pick(h, "set1", "set2")
		}
		if h.chance(20) {
			p["sectionName"] = pick(h, "l0", "l1")
		}
		parents = append(parents, p)
	}
	for range h.rng.IntN(3) {
		hostnames = append(hostnames, h.hostname())
	}
	for range 1 + h.rng.IntN(2) {
		path := map[string]any{"type": pick(h, "PathPrefix", "Exact", "RegularExpression"), "value": pick(h, "/", "/a", "/a/b")}
		if h.chance(5) {
			path = map[string]any{"type": "RegularExpression", "value": "("}
		}
		match := map[string]any{"path": path}
		if h.chance(30) {
			match["method"] = "GET"
		}
		rule := map[string]any{"matches": []any{match}, "backendRefs": []any{
			map[string]any{"name": pick(h, "s1", "s2"), "namespace": pick(h, "a", "b"), "port": 80, "weight": h.rng.IntN(3)},
		}}
		if h.chance(20) {
			rule["filters"] = []any{map[string]any{"type": "RequestMirror", "requestMirror": map[string]any{"backendRef": map[string]any{"name": "s2", "port": 80}}}}
		}
		rules = append(rules, rule)
	}
	return map[string]any{"parentRefs": parents, "hostnames": hostnames, "rules": rules}
}

// policy is how backends are reached over TLS.
func (h *History) policy() map[string]any {
	var targets []any
	for range 1 + h.rng.IntN(2) {
		to := map[string]any{"group": "", "kind": "Service", "name": pick(h, "s1", "s2")}
		if h.chance(30) {
			to["sectionName"] = "web"
		}
		targets = append(targets, to)
	}
	validation := map[string]any{"hostname": pick(h, "x.internal", "y.internal")}
	if h.chance(20) {
		validation["wellKnownCACertificates"] = pick(h, "System", "example.com/own")
	} else {
		ref := map[string]any{"group": "", "kind": pick(h, "ConfigMap", "ConfigMap", "Secret", "Service"), "name": "ca"}
		if h.chance(30) {
			ref = map[string]any{"group": "certificates.k8s.io", "kind": "ClusterTrustBundle", "name": "ca"}
		}
		validation["caCertificateRefs"] = []any{ref}
	}
	return map[string]any{"targetRefs": targets, "validation": validation}
}

// stream is a route that has backends and no matches.
func (h *History) stream() map[string]any {
	spec := h.route()
	for _, rule := range spec["rules"].([]any) {
		delete(rule.(map[string]any), "matches")
		delete(rule.(map[string]any), "filters")
	}
	return spec
}

// grpcRoute is a route as the others, with matches of its own.
func (h *History) grpcRoute() map[string]any {
	spec := h.route()
	for _, rule := range spec["rules"].([]any) {
		method := map[string]any{}
		if h.chance(60) {
			method["service"] = pick(h, "pkg.S", "pkg.Other")
		}
		if h.chance(60) {
			method["method"] = pick(h, "Get", "List")
		}
		if h.chance(20) {
			method["type"], method["service"] = "RegularExpression", pick(h, "pkg[.].*", "(")
		}
		match := map[string]any{"method": method}
		if h.chance(20) {
			match["headers"] = []any{map[string]any{"name": "X-Team", "value": "a"}}
		}
		rule.(map[string]any)["matches"] = []any{match}
	}
	return spec
}
