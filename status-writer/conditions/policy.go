package conditions

import gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

// ancestorTypes are the conditions of a policy's ancestor that are ours to write,
// and to take back.
func ancestorTypes() []string {
	return []string{string(gatewayv1.PolicyConditionAccepted), string(gatewayv1.BackendTLSPolicyConditionResolvedRefs)}
}

// policy does with the ancestors of a policy what route does with the parents of a route.
func (r *result) policy() *gatewayv1.PolicyStatus {
	var present []gatewayv1.RouteParentStatus
	if r.Current.Policy != nil {
		for _, a := range r.Current.Policy.Ancestors {
			present = append(present, gatewayv1.RouteParentStatus{ParentRef: a.AncestorRef, ControllerName: a.ControllerName, Conditions: a.Conditions})
		}
	}
	out := &gatewayv1.PolicyStatus{Ancestors: []gatewayv1.PolicyAncestorStatus{}}
	for _, p := range r.entries(present, r.Verdict.Ancestors, maxAncestors) {
		out.Ancestors = append(out.Ancestors, gatewayv1.PolicyAncestorStatus{AncestorRef: p.ParentRef, ControllerName: p.ControllerName, Conditions: p.Conditions})
	}
	return out
}
