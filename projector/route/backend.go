package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
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
// (HTTPBackendRef: "A BackendRef is invalid if").
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
	_, service := get[fold.Service](r, key)
	notFound := func(format string, args ...any) (string, problem) {
		return "", problem{string(gatewayv1.RouteReasonBackendNotFound), fmt.Sprintf(format, args...)}
	}
	switch {
	case service == nil:
		return notFound("The Service %s does not exist.", name)
	case service.Type == corev1.ServiceTypeExternalName:
		return notFound("The Service %s is of type ExternalName, which is not supported as a backend.", name)
	case ref.Port == nil:
		return notFound("The reference to the Service %s has no port.", name)
	}
	suffix := clusterSuffix(s.kind)
	port := servicePort(service, suffix, *ref.Port)
	if port == nil {
		return notFound("The Service %s has no %s port %d.", name, transportProtocol(suffix), *ref.Port)
	}
	if _, ok := protocolOf(suffix, port); !ok {
		return "", problem{string(gatewayv1.RouteReasonUnsupportedProtocol), fmt.Sprintf("The port %d of the Service %s has the appProtocol %s, which is not supported.", *ref.Port, name, *port.AppProtocol)}
	}
	return fmt.Sprintf("%s/%d%s", name, *ref.Port, suffix), problem{}
}

// What the name of a cluster ends with says how it is reached, which differs by the
// kind of route: HTTP as appProtocol says, HTTP/2 whatever it says, bytes, datagrams.
const (
	suffixHTTP = ""
	suffixGRPC = "/grpc"
	suffixTCP  = "/tcp"
	suffixUDP  = "/udp"
)

func clusterSuffix(kind string) string {
	return map[string]string{httpRoute: suffixHTTP, grpcRoute: suffixGRPC, tlsRoute: suffixTCP, tcpRoute: suffixTCP, udpRoute: suffixUDP}[kind]
}

func transportProtocol(suffix string) corev1.Protocol {
	if suffix == suffixUDP {
		return corev1.ProtocolUDP
	}
	return corev1.ProtocolTCP
}

func servicePort(service *fold.Service, suffix string, number int32) *corev1.ServicePort {
	protocol := transportProtocol(suffix)
	i := slices.IndexFunc(service.Ports, func(p corev1.ServicePort) bool {
		return p.Port == number && cmp.Or(p.Protocol, corev1.ProtocolTCP) == protocol
	})
	if i < 0 {
		return nil
	}
	return &service.Ports[i]
}

// protocolOf reads appProtocol: the names of KEP-3726, and plain HTTP. Names
// without a meaning for HTTP or gRPC are refused (GEP-1911); for the rest of the
// routes it does not matter.
func protocolOf(suffix string, port *corev1.ServicePort) (Protocol, bool) {
	if suffix == suffixTCP || suffix == suffixUDP {
		return Opaque, true
	}
	named := HTTP1
	if port.AppProtocol != nil {
		switch p := strings.ToLower(*port.AppProtocol); p {
		case "", "http", "tcp":
		case string(H2C), string(WebSocket):
			named = Protocol(p)
		default:
			return "", false
		}
	}
	if suffix == suffixGRPC {
		return H2C, named != WebSocket
	}
	return named, true
}

// computeCluster is nil while the Service or its port does not exist.
func (t *Tables) computeCluster(r *reader, id ClusterID) *Cluster {
	var number int32
	name, suffix := id.Name, suffixHTTP
	for _, s := range []string{suffixGRPC, suffixTCP, suffixUDP} {
		if rest, ok := strings.CutSuffix(id.Name, s); ok {
			name, suffix = rest, s
		}
	}
	service, port, _ := cutLast(name, "/")
	if _, err := fmt.Sscan(port, &number); err != nil {
		return nil
	}
	key, err := events.ParseKey(events.Services + "/" + service)
	if err != nil {
		return nil
	}
	_, svc := get[fold.Service](r, key)
	if svc == nil {
		return nil
	}
	p := servicePort(svc, suffix, number)
	if p == nil {
		return nil
	}
	protocol, _ := protocolOf(suffix, p)
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
