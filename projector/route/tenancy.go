package route

import (
	"fmt"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
)

// tenancy is how the tenants of a class are kept apart; nil is not at all.
type tenancy struct {
	mode    v1alpha1.TenancyMode
	label   string
	allowed []string // namespaces that are no tenant's
}

func newTenancy(spec *v1alpha1.Tenancy) (t *tenancy, why string) {
	if spec == nil {
		return nil, ""
	}
	t = &tenancy{mode: spec.Mode, label: spec.TenantIDLabel, allowed: spec.AllowedNamespaces}
	switch {
	case t.mode == v1alpha1.TenancyNamespace:
	case t.mode == v1alpha1.TenancyLabelSelector && t.label == "":
		return nil, "tenancy.tenantIDLabel is empty; name the label of namespaces whose value is the tenant."
	case t.mode == v1alpha1.TenancyLabelSelector:
	default:
		return nil, fmt.Sprintf("tenancy.mode is %q, which is not supported; use %q or %q.", t.mode, v1alpha1.TenancyNamespace, v1alpha1.TenancyLabelSelector)
	}
	return t, ""
}

// admits tells whether what is in namespace may attach to a Gateway in the namespace
// own. A namespace without the label is a tenant by itself.
func (t *tenancy) admits(r *reader, own, namespace string) bool {
	if t == nil || namespace == own || slices.Contains(t.allowed, namespace) {
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
