package route

import (
	"fmt"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/parameters"
)

// tenancy is how the tenants of a class are kept apart; nil is not at all.
type tenancy parameters.Tenancy

// Tenant is whose requests an entry is for: the claim of the token is ID, or has it.
type Tenant struct{ Claim, ID string }

// admits tells whether what is in namespace may attach to a Gateway in the namespace
// own. A namespace without the label is a tenant by itself.
func (t *tenancy) admits(r *reader, own, namespace string) bool {
	if t == nil || t.Tokens != nil || namespace == own || slices.Contains(t.Allowed, namespace) {
		return true
	}
	if t.Mode == v1alpha1.TenancyNamespace {
		return false
	}
	tenant := r.namespaceLabels(own)[t.Label]
	return tenant != "" && r.namespaceLabels(namespace)[t.Label] == tenant
}

// otherTenant is why a route is not accepted whose namespace is another tenant's. It
// says the same whatever the Gateway is like, so that nothing can be learnt from it.
func otherTenant(namespace string) problem {
	return problem{string(gatewayv1.RouteReasonNotAllowedByListeners), fmt.Sprintf(
		"The namespace %s is not of the tenant whose parent this is (tenant isolation of the GatewayClass).", namespace)}
}

// requests are those of whom a route in namespace is for, where tenants share Gateways;
// nil is those of all. What carries no tokens cannot be told apart.
func (t *tenancy) requests(r *reader, resource, namespace string) (*Tenant, problem) {
	if t == nil || t.Tokens == nil {
		return nil, problem{}
	}
	refuse := func(format string, args ...any) (*Tenant, problem) {
		return nil, problem{string(gatewayv1.RouteReasonNotAllowedByListeners), fmt.Sprintf(format, args...) + " (tenant isolation of the GatewayClass)."}
	}
	if resource != events.HTTPRoutes && resource != events.GRPCRoutes {
		return refuse("Only requests carry the token of a tenant, and this route forwards what is not looked at")
	}
	if slices.Contains(t.Allowed, namespace) {
		return nil, problem{}
	}
	tenant := namespace
	if t.Label != "" {
		tenant = r.namespaceLabels(namespace)[t.Label]
	}
	if tenant == "" {
		return refuse("The namespace %s has no label %s, so that it is no tenant's", namespace, t.Label)
	}
	return &Tenant{Claim: t.Claim, ID: tenant}, problem{}
}

// shared are the tokens that requests must carry; nil is none.
func (t *tenancy) shared() *parameters.Tokens {
	if t == nil {
		return nil
	}
	return t.Tokens
}
