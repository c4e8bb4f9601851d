package route

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
)

// newBackend resolves a backendRef. One that cannot be resolved keeps its
// weight: its share of requests gets 500.
func (s *ruleSet) newBackend(r *reader, route events.Key, matched string, spec *gatewayv1.HTTPBackendRef) (Backend, error) {
	b := Backend{Weight: 1}
	if spec.Weight != nil {
		b.Weight = uint32(max(0, *spec.Weight))
	}
	var err error
	if b.Filters, err = s.newFilters(r, route, matched, spec.Filters); err != nil {
		return Backend{}, fmt.Errorf("backendRef %s: %w", spec.Name, err)
	}
	cluster, p := s.resolveBackend(r, route, spec.BackendObjectReference)
	if !p.ok() {
		s.unresolved(p)
		return b, nil
	}
	b.Cluster = cluster
	return b, nil
}

// unresolved keeps the first problem: a condition has room for one reason.
func (s *ruleSet) unresolved(p problem) {
	if s.resolved.ok() {
		s.resolved = p
	}
}

// resolveBackend is the name of the cluster for a reference, or why there is none
// (HTTPBackendRef: "A BackendRef is invalid if"). GRPCRoutes have a cluster of their
// own, which speaks HTTP/2 whether or not the Service says so.
func (s *ruleSet) resolveBackend(r *reader, route events.Key, ref gatewayv1.BackendObjectReference) (string, problem) {
	group, kind, namespace := or(ref.Group, ""), or(ref.Kind, "Service"), or(ref.Namespace, route.Namespace)
	key := events.Key{Resource: events.Services, Namespace: namespace, Name: string(ref.Name)}
	name := namespace + "/" + key.Name
	if group != "" || kind != "Service" {
		return "", problem{string(gatewayv1.RouteReasonInvalidKind), fmt.Sprintf("The backend %s is a %s of group %q; only Services are supported.", name, kind, group)}
	}
	if !r.granted(reference{
		fromGroup: gatewayv1.GroupName, fromKind: s.kind, fromNamespace: route.Namespace,
		toGroup: "", toKind: "Service", to: key,
	}) {
		return "", problem{string(gatewayv1.RouteReasonRefNotPermitted), fmt.Sprintf("The Service %s is in another namespace, and no ReferenceGrant there permits %ss of %s to use it.", name, s.kind, route.Namespace)}
	}
	_, service := get[corev1.Service](r, key)
	notFound := func(format string, args ...any) (string, problem) {
		return "", problem{string(gatewayv1.RouteReasonBackendNotFound), fmt.Sprintf(format, args...)}
	}
	switch {
	case service == nil:
		return notFound("The Service %s does not exist.", name)
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return notFound("The Service %s is of type ExternalName, which is not supported as a backend.", name)
	case ref.Port == nil:
		return notFound("The reference to the Service %s has no port.", name)
	}
	port := servicePort(service, *ref.Port)
	if port == nil {
		return notFound("The Service %s has no TCP port %d.", name, *ref.Port)
	}
	grpc := s.kind == "GRPCRoute"
	if p, ok := protocolOf(port); !ok || grpc && p == WebSocket {
		return "", problem{string(gatewayv1.RouteReasonUnsupportedProtocol), fmt.Sprintf("The port %d of the Service %s has the appProtocol %s, which is not supported.", *ref.Port, name, *port.AppProtocol)}
	}
	cluster := fmt.Sprintf("%s/%d", name, *ref.Port)
	if grpc {
		cluster += grpcSuffix
	}
	return cluster, problem{}
}

// grpcSuffix ends the names of the clusters of GRPCRoutes.
const grpcSuffix = "/grpc"

func servicePort(service *corev1.Service, number int32) *corev1.ServicePort {
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
		return p.Port == number && (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP)
	})
	if i < 0 {
		return nil
	}
	return &service.Spec.Ports[i]
}

// protocolOf reads appProtocol: the names of KEP-3726, and plain HTTP. Names
// without a meaning for HTTP routes are refused (GEP-1911).
func protocolOf(port *corev1.ServicePort) (Protocol, bool) {
	if port.AppProtocol == nil {
		return HTTP1, true
	}
	switch p := strings.ToLower(*port.AppProtocol); p {
	case "", "http", "tcp":
		return HTTP1, true
	case string(H2C), string(WebSocket):
		return Protocol(p), true
	default:
		return "", false
	}
}

// computeCluster is nil while the Service or its port does not exist.
func (t *Tables) computeCluster(r *reader, id ClusterID) *Cluster {
	var number int32
	name, grpc := strings.CutSuffix(id.Name, grpcSuffix)
	service, port, _ := cutLast(name, "/")
	if _, err := fmt.Sscan(port, &number); err != nil {
		return nil
	}
	key, err := events.ParseKey(events.Services + "/" + service)
	if err != nil {
		return nil
	}
	_, svc := get[corev1.Service](r, key)
	if svc == nil {
		return nil
	}
	p := servicePort(svc, number)
	if p == nil {
		return nil
	}
	protocol, _ := protocolOf(p)
	if grpc {
		protocol = H2C
	}
	return &Cluster{ID: id, Service: key, Protocol: protocol, Endpoints: service + "/" + orDash(p.Name)}
}

func orDash(name string) string {
	if name == "" {
		return "-"
	}
	return name
}

func cutLast(s, sep string) (before, after string, found bool) {
	if before, after, ok := strings.CutLast(s, sep); ok {
		return before, after, true
	}
	return s, "", false
}
