package route

import (
	"cmp"
	"fmt"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
)

// tenancy is how the tenants of a class are kept apart; nil is not at all.
type tenancy struct {
	mode    v1alpha1.TenancyMode
	label   string
	allowed []string // namespaces that are no tenant's
	claim   string   // of the tokens
	tokens  *Tokens
}

func newTenancy(r *reader, spec *v1alpha1.Tenancy) (t *tenancy, why string) {
	if spec == nil {
		return nil, ""
	}
	t = &tenancy{mode: spec.Mode, label: spec.TenantIDLabel, allowed: spec.AllowedNamespaces}
	switch {
	case t.mode == v1alpha1.TenancyNamespace:
	case t.mode == v1alpha1.TenancyLabelSelector && t.label == "":
		return nil, "tenancy.tenantIDLabel is empty; name the label of namespaces whose value is the tenant."
	case t.mode == v1alpha1.TenancyLabelSelector:
	case t.mode == v1alpha1.TenancyAuthHeader:
		if t.tokens, why = newTokens(r, spec.AuthHeader); why != "" {
			return nil, why
		}
		t.claim = cmp.Or(spec.AuthHeader.Claim, "tenant")
	default:
		return nil, fmt.Sprintf("tenancy.mode is %q; use %s, %s or %s.", t.mode, v1alpha1.TenancyNamespace, v1alpha1.TenancyLabelSelector, v1alpha1.TenancyAuthHeader)
	}
	return t, ""
}

// admits tells whether what is in namespace may attach to a Gateway in the namespace
// own. A namespace without the label is a tenant by itself.
func (t *tenancy) admits(r *reader, own, namespace string) bool {
	if t == nil || t.tokens != nil || namespace == own || slices.Contains(t.allowed, namespace) {
		return true
	}
	if t.mode == v1alpha1.TenancyNamespace {
		return false
	}
	tenant := r.namespaceLabels(own)[t.label]
	return tenant != "" && r.namespaceLabels(namespace)[t.label] == tenant
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
	if t == nil || t.tokens == nil {
		return nil, problem{}
	}
	refuse := func(format string, args ...any) (*Tenant, problem) {
		return nil, problem{string(gatewayv1.RouteReasonNotAllowedByListeners), fmt.Sprintf(format, args...) + " (tenant isolation of the GatewayClass)."}
	}
	if resource != events.HTTPRoutes && resource != events.GRPCRoutes {
		return refuse("Only requests carry the token of a tenant, and this route forwards what is not looked at")
	}
	if slices.Contains(t.allowed, namespace) {
		return nil, problem{}
	}
	tenant := namespace
	if t.label != "" {
		tenant = r.namespaceLabels(namespace)[t.label]
	}
	if tenant == "" {
		return refuse("The namespace %s has no label %s, so that it is no tenant's", namespace, t.label)
	}
	return &Tenant{Claim: t.claim, ID: tenant}, problem{}
}

// shared are the tokens that requests must carry; nil is none.
func (t *tenancy) shared() *Tokens {
	if t == nil {
		return nil
	}
	return t.tokens
}
