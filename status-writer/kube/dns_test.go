package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// seen is a route as a DNS controller sees it.
type seen struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec   struct{ ParentRefs []gatewayv1.ParentReference }
	Status gatewayv1.RouteStatus
}

// targets are the parents whose addresses a DNS controller publishes for a route,
// by the rule of external-dns (source/gateway.go): those of the status that the
// route names (group, kind, namespace and name) and that accept it in its present
// generation. Before it learned to compare the generation and the reference it
// published all that accept; that is the rule without careful.
func (s *seen) targets(careful bool) (out []string) {
	for _, p := range s.Status.Parents {
		accepted := slices.ContainsFunc(p.Conditions, func(c metav1.Condition) bool {
			return c.Type == "Accepted" && c.Status == "True" && (!careful || c.ObservedGeneration == s.Generation)
		})
		named := slices.ContainsFunc(s.Spec.ParentRefs, func(ref gatewayv1.ParentReference) bool {
			return ref.Name == p.ParentRef.Name && value(ref.Namespace, s.Namespace) == value(p.ParentRef.Namespace, s.Namespace) &&
				value(ref.Kind, "Gateway") == value(p.ParentRef.Kind, "Gateway")
		})
		if accepted && (named || !careful) {
			out = append(out, name(p.ParentRef))
		}
	}
	return out
}

func value[T ~string](v *T, otherwise string) string {
	if v == nil {
		return otherwise
	}
	return string(*v)
}

func name(ref gatewayv1.ParentReference) string {
	return fmt.Sprintf("%s/%s", ref.Name, value(ref.SectionName, "*"))
}

// answered tells whether we have written of the present generation.
func (s *seen) answered() bool {
	return slices.ContainsFunc(s.Status.Parents, func(p gatewayv1.RouteParentStatus) bool {
		return string(p.ControllerName) == controller && len(p.Conditions) > 0 && p.Conditions[0].ObservedGeneration == s.Generation
	})
}

// staleParentIsNeverSeen: a route moves from Gateway to Gateway and from listener to
// listener, and its Gateways go. In every state that the API server ever shows, a
// DNS controller publishes only what the route names; once there is an answer to a
// generation, so does one that looks at nothing but Accepted, and never for a
// listener that the route has left.
func staleParentIsNeverSeen(r *rig) {
	p := r.projection()
	p.write(r.run(nil))
	key := routeKey("moving")
	o := r.route("moving", "a")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	states, err := r.clients.of(key.Resource).Get().Resource(key.Resource).VersionedParams(&metav1.ListOptions{
		Watch: true, ResourceVersion: o.ResourceVersion,
	}, metav1.ParameterCodec).Stream(ctx)
	r.must(err)
	defer states.Close()

	sections := func(refs ...gatewayv1.ParentReference) string {
		data, err := json.Marshal(map[string]any{"parentRefs": refs})
		r.must(err)
		return string(data)
	}
	section := gatewayv1.SectionName("second")
	for _, spec := range []string{
		routeSpec("a"), routeSpec("b"), routeSpec("b", "c"), routeSpec("c", "a"),
		sections(gatewayv1.ParentReference{Name: "a"}), sections(gatewayv1.ParentReference{Name: "a", SectionName: &section}),
		sections(gatewayv1.ParentReference{Name: "b", SectionName: &section}, gatewayv1.ParentReference{Name: "a"}),
	} {
		_, err := r.patch(key, `{"spec":`+spec+`}`)
		r.must(err)
		v := r.verdictOf(key)
		p.report(p.publish(nil, v), "a", "b", "c")
		r.eventually(func() error { return r.programmed("moving", len(v.Parents)) })
	}
	// Gateway a is deleted; then b, and none of the parents is ours any more.
	v := r.verdictOf(key)
	p.publish(nil, routing.Verdict{Object: v.Object, UID: v.UID, Generation: v.Generation, Parents: v.Parents[:1]})
	r.eventually(func() error { return r.parentsLeft(key, 1) })
	p.publish([]events.Key{key})
	r.eventually(func() error { return r.parentsLeft(key, 0) })
	last := r.get(key).ResourceVersion

	n := 0
	for decoder := json.NewDecoder(states); ; {
		var event struct{ Object seen }
		r.must(decoder.Decode(&event))
		if event.Object.Name != key.Name {
			continue
		}
		n++
		r.checkTargets(&event.Object)
		if !older(event.Object.ResourceVersion, last) {
			break
		}
	}
	if n < 15 {
		r.Errorf("saw %d states only", n)
	}
}

// verdictOf accepts a route at all parents that it names.
func (r *rig) verdictOf(key events.Key) routing.Verdict {
	r.Helper()
	data, err := r.clients.of(key.Resource).Get().Resource(key.Resource).Namespace(key.Namespace).Name(key.Name).Do(context.Background()).Raw()
	r.must(err)
	var s seen
	r.must(json.Unmarshal(data, &s))
	v := routing.Verdict{Object: key, UID: string(s.UID), Generation: s.Generation}
	for _, ref := range s.Spec.ParentRefs {
		v.Parents = append(v.Parents, routing.ParentVerdict{
			Ref: routing.ParentRef{
				Group: (*string)(ref.Group), Kind: (*string)(ref.Kind), Name: string(ref.Name), SectionName: (*string)(ref.SectionName),
			},
			Gateway:    "default/" + string(ref.Name),
			Conditions: []routing.Condition{{Type: "Accepted", Status: "True", Reason: "Accepted", Message: "The route is accepted."}},
		})
	}
	return v
}

// checkTargets holds one state of a route against the rule.
func (r *rig) checkTargets(s *seen) {
	r.Helper()
	var named []string
	for _, ref := range s.Spec.ParentRefs {
		named = append(named, name(ref))
	}
	for _, careful := range []bool{true, false} {
		if !careful && !s.answered() {
			continue
		}
		for _, target := range s.targets(careful) {
			if !slices.Contains(named, target) {
				r.Errorf("generation %d names %v, and the status gives %s (careful: %v)", s.Generation, named, target, careful)
			}
		}
	}
}

func (r *rig) parentsLeft(key events.Key, n int) error {
	if got := r.parents(r.get(key)); len(got) != n {
		return fmt.Errorf("%d parents are left, want %d: %s", len(got), n, got)
	}
	return nil
}
