package conditions

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
)

// pinTypes are the conditions of a RoutingPin.
func pinTypes() []string { return []string{string(gatewayv1.PolicyConditionAccepted)} }

func (r *result) pin() *v1alpha1.RoutingPinStatus {
	var out v1alpha1.RoutingPinStatus
	if r.Current.Pin != nil {
		out = *r.Current.Pin
	}
	out.Conditions = r.merge(out.Conditions, r.Verdict.Conditions, pinTypes())
	return &out
}
