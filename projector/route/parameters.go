package route

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
)

// parameters are what a GatewayClass has from its RutterClass; the zero value is that
// of one without.
type parameters struct {
	proxy   proxy
	log     AccessLog
	edge    Edge
	tenancy *tenancy
}

// resolve reads the parameters of a class, or says why they cannot be had
// (GatewayClassSpec.parametersRef), or why not the newest of them are in force.
func (p *parameters) resolve(r *reader, ref *gatewayv1.ParametersReference) (why, stale string) {
	if ref.Group != v1alpha1.GroupName || ref.Kind != v1alpha1.Kind {
		return fmt.Sprintf("spec.parametersRef names the %s %s of group %q, which Rutter does not read; use a %s of group %s.",
			ref.Kind, ref.Name, ref.Group, v1alpha1.Kind, v1alpha1.GroupName), ""
	}
	if ref.Namespace != nil {
		return "spec.parametersRef names a namespace, but a RutterClass is in none; remove it.", ""
	}
	key := events.Key{Resource: events.RutterClasses, Name: ref.Name}
	r.note(objectOf(key))
	o := r.state.Object(key)
	if o == nil {
		return fmt.Sprintf("The RutterClass %s does not exist.", ref.Name), ""
	}
	spec, _ := o.Value.(*v1alpha1.RutterClassSpec)
	if spec == nil {
		return fmt.Sprintf("The RutterClass %s cannot be read: %s.", ref.Name, o.Problem), ""
	}
	if o.Problem != "" {
		stale = fmt.Sprintf("The last good version of the RutterClass %s is in force: %s.", ref.Name, o.Problem)
	}
	if why := p.take(r, spec); why != "" {
		return fmt.Sprintf("The RutterClass %s: %s", ref.Name, why), ""
	}
	return "", stale
}

// take checks and takes over each section; why is what is wrong with the first.
func (p *parameters) take(r *reader, spec *v1alpha1.RutterClassSpec) (why string) {
	if p.proxy, why = newProxy(spec.Proxy); why != "" {
		return why
	}
	if p.log, why = newAccessLog(spec.AccessLog); why != "" {
		return why
	}
	if p.edge, why = newEdge(spec.Edge); why != "" {
		return why
	}
	p.tenancy, why = newTenancy(r, spec.Tenancy)
	return why
}
