package parameters

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Proxy is how the Envoys of a class are run, where they are provisioned.
type Proxy struct {
	Replicas           int32
	Resources          *routing.Resources
	ServiceType        string
	ServiceAnnotations map[string]string
	MaxConnections     uint32
}

// newProxy refuses what the API server would: the provisioner could do nothing about it.
func newProxy(spec *v1alpha1.Proxy) (p Proxy, why string) {
	if spec == nil {
		return p, ""
	}
	if spec.Replicas != nil {
		p.Replicas = *spec.Replicas
	}
	if spec.MaxConnections != nil {
		p.MaxConnections = uint32(*spec.MaxConnections)
	}
	if spec.Resources != nil {
		if p.Resources, why = newResources(spec.Resources); why != "" {
			return p, why
		}
	}
	if spec.Service == nil {
		return p, ""
	}
	p.ServiceType, p.ServiceAnnotations = string(spec.Service.Type), spec.Service.Annotations
	for _, name := range slices.Sorted(maps.Keys(spec.Service.Annotations)) {
		if faults := validation.IsQualifiedName(strings.ToLower(name)); len(faults) > 0 {
			return p, fmt.Sprintf("proxy.service.annotations: %q cannot be the name of one: %s.", name, faults[0])
		}
	}
	return p, ""
}

func newResources(spec *v1alpha1.Resources) (out *routing.Resources, why string) {
	for _, name := range slices.Sorted(maps.Keys(spec.Requests)) {
		request, limit := spec.Requests[name], spec.Limits[name]
		if _, limited := spec.Limits[name]; limited && request.Cmp(limit) > 0 {
			return nil, fmt.Sprintf("proxy.resources: the request of %s, %s, is more than its limit, %s.", name, request.String(), limit.String())
		}
	}
	return &routing.Resources{Requests: quantities(spec.Requests), Limits: quantities(spec.Limits)}, ""
}

func quantities(in map[corev1.ResourceName]resource.Quantity) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for name, quantity := range in { //determinism: into a map
		out[string(name)] = quantity.String()
	}
	return out
}

// Into adds what the class says to what the Envoys of a Gateway need.
func (p *Proxy) Into(out *routing.Infrastructure) {
	out.Replicas, out.Resources, out.MaxConnections = p.Replicas, p.Resources, p.MaxConnections
	out.ServiceType, out.ServiceAnnotations = p.ServiceType, p.ServiceAnnotations
}
