package conditions

import (
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

func gatewayOf(key events.Key) string { return key.Namespace + "/" + key.Name }

// classTypes and those below are the conditions that are ours to
// write, and to take back.
func classTypes() []string {
	return []string{
		string(gatewayv1.GatewayClassConditionStatusAccepted), string(gatewayv1.GatewayClassConditionStatusSupportedVersion),
		routing.ConditionSynced,
	}
}

func gatewayTypes() []string {
	return []string{
		string(gatewayv1.GatewayConditionAccepted), programmedType, string(gatewayv1.GatewayConditionResolvedRefs),
		string(gatewayv1.GatewayConditionInsecureFrontendValidationMode), string(gatewayv1.GatewayConditionAddressesAssigned),
		routing.ConditionPinned, routing.ConditionRefused,
	}
}

func listenerSetTypes() []string {
	return []string{string(gatewayv1.ListenerSetConditionAccepted), programmedType, routing.ConditionRefused}
}

func listenerTypes() []string {
	return []string{
		string(gatewayv1.ListenerConditionAccepted), programmedType, string(gatewayv1.ListenerConditionResolvedRefs),
		string(gatewayv1.ListenerConditionConflicted), string(gatewayv1.ListenerConditionOverlappingTLSConfig),
		routing.ConditionCertificateWarning,
	}
}

func (r *result) class() *gatewayv1.GatewayClassStatus {
	var out gatewayv1.GatewayClassStatus
	if r.Current.Class != nil {
		out = *r.Current.Class
	}
	out.Conditions = r.merge(out.Conditions, r.Verdict.Conditions, classTypes())
	out.SupportedFeatures = nil
	for _, name := range room(r, r.Verdict.Features, maxFeatures) {
		out.SupportedFeatures = append(out.SupportedFeatures, gatewayv1.SupportedFeature{Name: gatewayv1.FeatureName(name)})
	}
	return &out
}

func (r *result) gateway() *gatewayv1.GatewayStatus {
	var out gatewayv1.GatewayStatus
	if r.Current.Gateway != nil {
		out = *r.Current.Gateway
	}
	out.Addresses = addresses(room(r, r.Verdict.Addresses, maxAddresses), r.Verdict.Routabilities)
	out.Conditions = r.merge(out.Conditions, r.withProgrammed(r.Verdict.Conditions, out.Conditions), gatewayTypes())
	out.AttachedListenerSets = r.Verdict.AttachedListenerSets
	present := out.Listeners
	out.Listeners = nil
	for _, l := range room(r, r.Verdict.Listeners, maxListeners) {
		out.Listeners = append(out.Listeners, r.listener(&l, present))
	}
	return &out
}

func (r *result) listenerSet() *gatewayv1.ListenerSetStatus {
	var out gatewayv1.ListenerSetStatus
	if r.Current.ListenerSet != nil {
		out = *r.Current.ListenerSet
	}
	out.Conditions = r.merge(out.Conditions, r.withProgrammed(r.Verdict.Conditions, out.Conditions), listenerSetTypes())
	present := make([]gatewayv1.ListenerStatus, 0, len(out.Listeners))
	for _, l := range out.Listeners {
		present = append(present, gatewayv1.ListenerStatus(l))
	}
	out.Listeners = nil
	for _, l := range room(r, r.Verdict.Listeners, maxListeners) {
		out.Listeners = append(out.Listeners, gatewayv1.ListenerEntryStatus(r.listener(&l, present)))
	}
	return &out
}

func addresses(values []string, routabilities map[string]string) []gatewayv1.GatewayStatusAddress {
	var out []gatewayv1.GatewayStatusAddress
	for _, value := range values {
		kind := gatewayv1.IPAddressType
		if _, err := netip.ParseAddr(value); err != nil {
			kind = gatewayv1.HostnameAddressType
		}
		address := gatewayv1.GatewayStatusAddress{Type: &kind, Value: value}
		if routability, ok := routabilities[value]; ok {
			address.Routability = new(gatewayv1.GatewayAddressRoutabilityType(routability))
		}
		out = append(out, address)
	}
	return out
}

func (r *result) listener(v *routing.ListenerVerdict, present []gatewayv1.ListenerStatus) gatewayv1.ListenerStatus {
	var now []metav1.Condition
	for i := range present {
		if string(present[i].Name) == v.Name {
			now = present[i].Conditions
		}
	}
	out := gatewayv1.ListenerStatus{
		Name: gatewayv1.SectionName(v.Name), AttachedRoutes: v.AttachedRoutes,
		SupportedKinds: make([]gatewayv1.RouteGroupKind, 0, len(v.SupportedKinds)),
		Conditions:     r.merge(now, r.withProgrammed(v.Conditions, now), listenerTypes()),
	}
	for _, kind := range v.SupportedKinds {
		group := gatewayv1.Group(kind.Group)
		out.SupportedKinds = append(out.SupportedKinds, gatewayv1.RouteGroupKind{Group: &group, Kind: gatewayv1.Kind(kind.Kind)})
	}
	return out
}
