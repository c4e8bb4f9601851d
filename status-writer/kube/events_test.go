package kube

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// recorder keeps the Events that would be made.
type recorder struct {
	mu   sync.Mutex
	list []string
}

func (r *recorder) Record(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	about := func(o corev1.ObjectReference) string {
		if o == (corev1.ObjectReference{}) {
			return "nothing"
		}
		return fmt.Sprintf("%s %s/%s", o.Kind, o.Namespace, o.Name)
	}
	r.list = append(r.list, fmt.Sprintf("Warning %s %s %s: %s", e.Reason, about(e.regarding()), about(e.Related), e.Note))
}

func TestAnEventTellsThatARouteBeginsToBeRefused(t *testing.T) {
	_, api := newMemoryAPI(t)
	r := newRig(t, api)
	var got recorder
	r.run(&got)
	o := r.route("r", "gw")
	r.known(routeKey("r"))
	v := verdict(o, "gw")
	r.apply(v)
	refuse := func(reason string) {
		v.Parents = slices.Clone(v.Parents)
		v.Parents[0].Conditions = []routing.Condition{{Type: "Accepted", Status: "False", Reason: reason, Message: "The Gateway has no such listener."}}
		r.apply(v)
	}
	refuse("NoMatchingParent")
	refuse("NotAllowedByListeners")
	r.apply(verdict(o, "gw"))
	refuse("NoMatchingParent")
	want := "Warning NoMatchingParent HTTPRoute default/r Gateway default/gw: The Gateway has no such listener."
	if !slices.Equal(got.list, []string{want, want}) {
		t.Errorf("got %q", got.list)
	}
}

func TestAnEventTellsThatRulesOfARouteBeginToBeShadowed(t *testing.T) {
	var got recorder
	s := &Statuses{Config: Config{Events: &got, ControllerName: controller}}
	parents := func(conditions ...metav1.Condition) conditions.Object {
		return conditionsOf(gatewayv1.RouteParentStatus{ParentRef: gatewayv1.ParentReference{Name: "gw"}, ControllerName: controller, Conditions: conditions})
	}
	shadowed := parents(metav1.Condition{Type: routing.ConditionShadowed, Status: "True", Reason: routing.ReasonRouteShadowed, Message: "Rule 0 gets no traffic."})
	for _, step := range [][2]conditions.Object{{parents(), shadowed}, {shadowed, shadowed}, {shadowed, parents()}} {
		s.announce(routeKey("r"), step[0], step[1])
	}
	if want := []string{"Warning RouteShadowed HTTPRoute default/r Gateway default/gw: Rule 0 gets no traffic."}; !slices.Equal(got.list, want) {
		t.Errorf("got %q", got.list)
	}
}

func conditionsOf(parents ...gatewayv1.RouteParentStatus) conditions.Object {
	return conditions.Object{Route: &gatewayv1.RouteStatus{Parents: parents}}
}

func TestAnEventTellsThatAListenerWarnsOfItsCertificates(t *testing.T) {
	var got recorder
	s := &Statuses{Config: Config{Events: &got}}
	warning := []metav1.Condition{{Type: routing.ConditionCertificateWarning, Status: "True", Reason: routing.ReasonCertificateExpired, Message: "It has expired."}}
	gateway := conditions.Object{Gateway: &gatewayv1.GatewayStatus{Listeners: []gatewayv1.ListenerStatus{{Name: "https", Conditions: warning}}}}
	set := conditions.Object{ListenerSet: &gatewayv1.ListenerSetStatus{Listeners: []gatewayv1.ListenerEntryStatus{{Name: "tls", Conditions: warning}}}}
	s.announce(events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"}, conditions.Object{}, gateway)
	s.announce(events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"}, gateway, gateway)
	s.announce(events.Key{Resource: events.ListenerSets, Namespace: "default", Name: "set"}, conditions.Object{}, set)
	refused := []metav1.Condition{{Type: routing.ConditionRefused, Status: "True", Reason: routing.ReasonRefused, Message: "Envoy refused it."}}
	after := conditions.Object{ListenerSet: &gatewayv1.ListenerSetStatus{Conditions: refused, Listeners: set.ListenerSet.Listeners}}
	s.announce(events.Key{Resource: events.ListenerSets, Namespace: "default", Name: "set"}, set, after)
	s.announce(events.Key{Resource: events.ListenerSets, Namespace: "default", Name: "set"}, after, after)
	want := []string{
		"Warning CertificateExpired Gateway default/gw nothing: Listener https: It has expired.",
		"Warning CertificateExpired ListenerSet default/set nothing: Listener tls: It has expired.",
		"Warning Refused ListenerSet default/set nothing: Envoy refused it.",
	}
	if !slices.Equal(got.list, want) {
		t.Errorf("got %q", got.list)
	}
}
