package projector_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/projector/envoy/evaluate"
)

// shadowWorld draws routes for few hostnames, from so few conditions that many of them
// come in each other's way.
type shadowWorld struct{ *rand.Rand }

func (w shadowWorld) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w shadowWorld) conditions(name string) string {
	if w.IntN(3) > 0 {
		return ""
	}
	return fmt.Sprintf(", %s: [{name: x, value: %q, type: %s}]", name, w.pick("1", "2"), w.pick("Exact", "RegularExpression"))
}

func (w shadowWorld) httpMatch() string {
	kind := w.pick("PathPrefix", "PathPrefix", "Exact", "RegularExpression")
	path := map[string]string{"RegularExpression": w.pick("/a.*", "/.*")}[kind]
	if path == "" {
		path = w.pick("/", "/a", "/a/b", "/b")
	}
	method := ""
	if w.IntN(3) == 0 {
		method = ", method: " + w.pick("GET", "POST")
	}
	return fmt.Sprintf("{path: {type: %s, value: %s}%s%s%s}", kind, path, method, w.conditions("headers"), w.conditions("queryParams"))
}

func (w shadowWorld) grpcMatch() string {
	return fmt.Sprintf("{method: {service: %s%s}%s}", w.pick("a", "b"), w.pick("", ", method: b"), w.conditions("headers"))
}

// objects are a Gateway with three listeners, and routes.
func (w shadowWorld) objects() string {
	text := `kind: GatewayClass
metadata: {name: rutter}
spec: {controllerName: rutter.dev/gateway-controller}
---
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  gatewayClassName: rutter
  listeners:
  - {name: any, port: 80, protocol: HTTP}
  - {name: one, port: 81, protocol: HTTP, hostname: a.test}
  - {name: some, port: 81, protocol: HTTP, hostname: "*.test"}
`
	for i := range 6 + w.IntN(9) {
		kind, match := "HTTPRoute", w.httpMatch
		if w.IntN(4) == 0 {
			kind, match = "GRPCRoute", w.grpcMatch
		}
		text += fmt.Sprintf("---\nkind: %s\nmetadata: {name: r%d, namespace: default}\nspec:\n  parentRefs: [{name: gw%s}]\n", kind, i, w.pick("", ", sectionName: any", ", sectionName: one"))
		text += fmt.Sprintf("  hostnames: [%s]\n  rules:\n", w.pick("", "a.test", `"*.test"`, "a.test, b.test"))
		for range 1 + w.IntN(2) {
			text += fmt.Sprintf("  - matches: [%s%s]\n", match(), w.pick("", ", "+match()))
		}
	}
	return text
}

// hits are the rules that requests with all that the conditions ask for, and with none,
// meet by what was published: kind/namespace/name/rule.
func hits(t *testing.T, resources map[routing.ResourceName]routing.Resource) map[string]bool {
	t.Helper()
	config, err := evaluate.Read(resources)
	must(t, err)
	met := map[string]bool{}
	send := func(r evaluate.Request) {
		answer, err := config.Answer(&r)
		must(t, err)
		if cut := strings.LastIndexByte(answer.Route, '/'); cut > 0 {
			met[answer.Route[:cut]] = true
		}
	}
	each := func(do func(string), values ...string) {
		for _, v := range values {
			do(v)
		}
	}
	for _, port := range []uint32{80, 81} {
		each(func(host string) {
			each(func(method string) {
				each(func(path string) {
					each(func(query string) {
						r := evaluate.Request{Port: port, Authority: host, Method: method, Target: path + query}
						send(r)
						for _, x := range []string{"1", "2"} {
							r.Headers = []evaluate.Header{{Name: "x", Value: x}}
							send(r)
							r.Headers = append(r.Headers, evaluate.Header{Name: "content-type", Value: "application/grpc"})
							send(r)
						}
						r.Headers = []evaluate.Header{{Name: "content-type", Value: "application/grpc"}}
						send(r)
					}, "", "?x=1", "?x=2")
				}, "/", "/a", "/a/b", "/a/b/c", "/ab", "/b", "/b/b")
			}, "GET", "POST")
		}, "a.test", "b.test", "else")
	}
	return met
}

var noTraffic = regexp.MustCompile(`Rule (\d+) gets no traffic( for)?`)

// A route that is told that one of its rules gets no traffic can rely on it: no request
// meets the rule, whatever its hostname and its conditions.
func TestNoRequestMeetsARuleThatIsSaidToBeShadowed(t *testing.T) {
	told, live := 0, 0
	for seed := range uint64(60) {
		objects := shadowWorld{rand.New(rand.NewPCG(seed, 1))}.objects()
		state := publish(t, gwtest.Objects(t, objects), events.Settings{ControllerName: "rutter.dev/gateway-controller", ListenAddress: "0.0.0.0"}, "plain")
		met := hits(t, state.Gateways["default/gw"].Resources)
		live += len(met)
		for key, v := range state.Verdicts {
			for _, p := range v.Parents {
				for _, rule := range shadowedRules(p) {
					name := fmt.Sprintf("%s/%s/%s", key.Namespace, key.Name, rule)
					if key.Resource == events.GRPCRoutes {
						name = "grpc/" + name
					}
					told++
					if met[name] {
						t.Errorf("seed %d: %s is said to be shadowed, and a request meets it:\n%s", seed, name, objects)
					}
				}
			}
		}
	}
	if told < 50 || live < 300 {
		t.Errorf("only %d shadows were told, and %d rules met", told, live)
	}
}

// shadowedRules are those that a parent says get no traffic at all.
func shadowedRules(p routing.ParentVerdict) []string {
	var rules []string
	for _, c := range p.Conditions {
		if c.Type == routing.ConditionShadowed {
			for _, m := range noTraffic.FindAllStringSubmatch(c.Message, -1) {
				if m[2] == "" {
					rules = append(rules, m[1])
				}
			}
		}
	}
	return rules
}
