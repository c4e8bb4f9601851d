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
	to, p := s.resolveBackend(r, route, spec.BackendObjectReference)
	if !p.ok() {
		s.unresolved(p)
		return b, nil
	}
	b.Cluster, b.Passthrough = to.cluster, to.passthrough
	return b, nil
}

// unresolved keeps the first problem: a condition has room for one reason.
func (s *ruleSet) unresolved(p problem) {
	if s.resolved.ok() {
		s.resolved = p
	}
}

// destination is where a reference leads.
type destination struct {
	// cluster is "" where a policy forbids to go there as things are.
	cluster string
	// passthrough is where connections go whose TLS does not end at the Gateway; "" is
	// cluster.
	passthrough string
}

// resolveBackend finds the cluster for a reference, or why there is none
// (HTTPBackendRef: "A BackendRef is invalid if").
func (s *ruleSet) resolveBackend(r *reader, route events.Key, ref gatewayv1.BackendObjectReference) (destination, problem) {
	group, kind, namespace := or(ref.Group, ""), or(ref.Kind, "Service"), or(ref.Namespace, route.Namespace)
	key := events.Key{Resource: events.Services, Namespace: namespace, Name: string(ref.Name)}
	name := namespace + "/" + key.Name
	invalid := func(reason gatewayv1.RouteConditionReason, format string, args ...any) (destination, problem) {
		return destination{}, problem{string(reason), fmt.Sprintf(format, args...)}
	}
	if group != "" || kind != "Service" {
		return invalid(gatewayv1.RouteReasonInvalidKind, "The backend %s is a %s of group %q; only Services are supported.", name, kind, group)
	}
	if !r.granted(reference{
		fromGroup: gatewayv1.GroupName, fromKind: cmp.Or(s.owner, s.kind), fromNamespace: route.Namespace,
		toGroup: "", toKind: "Service", to: key,
	}) {
		return invalid(gatewayv1.RouteReasonRefNotPermitted, "The Service %s is in another namespace, and no ReferenceGrant there permits %ss of %s to use it.", name, cmp.Or(s.owner, s.kind), route.Namespace)
	}
	_, service := get[fold.Service](r, key)
	s.reaches(r, key)
	switch {
	case service == nil:
		return invalid(gatewayv1.RouteReasonBackendNotFound, "The Service %s does not exist.", name)
	case service.Type == corev1.ServiceTypeExternalName:
		return invalid(gatewayv1.RouteReasonBackendNotFound, "The Service %s is of type ExternalName, which is not supported as a backend.", name)
	case ref.Port == nil:
		return invalid(gatewayv1.RouteReasonBackendNotFound, "The reference to the Service %s has no port.", name)
	}
	to := clusterName{service: key, port: *ref.Port, suffix: clusterSuffix(s.kind)}
	port := servicePort(service, to.suffix, to.port)
	if port == nil {
		return invalid(gatewayv1.RouteReasonBackendNotFound, "The Service %s has no %s port %d.", name, transportProtocol(to.suffix), to.port)
	}
	var p *policy
	if s.policed() {
		p = r.t.policyFor(key, port.Name)
	}
	if _, ok := protocolOf(to.suffix, p != nil, port); !ok {
		return invalid(gatewayv1.RouteReasonUnsupportedProtocol, "The port %d of the Service %s has the appProtocol %s, which is not supported.", to.port, name, *port.AppProtocol)
	}
	return to.under(p, s.kind), problem{}
}

// under is where a port of a Service is reached with a policy, or nil for none.
func (c clusterName) under(p *policy, kind string) destination {
	var out destination
	if p != nil && kind == tlsRoute {
		out.passthrough = c.String()
	}
	if p != nil {
		if p.tls == nil {
			return out
		}
		c.policy = p.tls.Policy.Name
	}
	out.cluster = c.String()
	return out
}

// policed tells whether a BackendTLSPolicy is for what the route sends. TCPRoutes and
// UDPRoutes forward what clients say as they say it (BackendTLSPolicySpec.targetRefs).
func (s *ruleSet) policed() bool { return s.kind != tcpRoute && s.kind != udpRoute }

// reaches notes a Service that policies are for.
func (s *ruleSet) reaches(r *reader, service events.Key) {
	if s.policed() && r.t.targets[service].len() > 0 {
		s.services = appendNew(s.services, service)
	}
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
// without a meaning for HTTP or gRPC are refused (GEP-1911), those that mean TLS
// where no policy says how; for the rest of the routes it does not matter.
func protocolOf(suffix string, tls bool, port *corev1.ServicePort) (Protocol, bool) {
	if suffix == suffixTCP || suffix == suffixUDP {
		return Opaque, true
	}
	named, secure := HTTP1, false
	if port.AppProtocol != nil {
		switch p := strings.ToLower(*port.AppProtocol); p {
		case "", "http", "tcp":
		case string(H2C), string(WebSocket):
			named = Protocol(p)
		case "https":
			secure = true
		case "kubernetes.io/wss":
			named, secure = WebSocket, true
		default:
			return "", false
		}
	}
	if secure && !tls {
		return "", false
	}
	if suffix == suffixGRPC {
		return H2C, named != WebSocket
	}
	return named, true
}

// computeCluster is nil while the Service or its port does not exist, or cannot be
// reached as its policy says.
func (t *Tables) computeCluster(r *reader, id ClusterID) *Cluster {
	name, ok := parseClusterName(id.Name)
	if !ok {
		return nil
	}
	_, service := get[fold.Service](r, name.service)
	if service == nil {
		return nil
	}
	port := servicePort(service, name.suffix, name.port)
	if port == nil {
		return nil
	}
	c := &Cluster{ID: id, Service: name.service, Endpoints: name.service.Namespace + "/" + name.service.Name + "/" + orDash(port.Name)}
	c.Protocol, _ = protocolOf(name.suffix, name.policy != "", port)
	if name.policy != "" {
		r.note(policyOf(name.policyKey()))
		p := t.policies[name.policyKey()]
		if p == nil || p.tls == nil {
			return nil
		}
		c.TLS = p.tls
		if g := r.gateway(id.Gateway); g != nil && g.clientCertificate != "" {
			presented := *p.tls
			presented.ClientCertificate = g.clientCertificate
			c.TLS = &presented
		}
	}
	return c
}

// secrets are those that connections of a cluster need.
func (c *Cluster) secrets() []SecretID {
	if c == nil || c.TLS == nil {
		return nil
	}
	secrets := []SecretID{{c.ID.Gateway, c.TLS.CA}}
	if c.TLS.ClientCertificate != "" {
		secrets = append(secrets, SecretID{c.ID.Gateway, c.TLS.ClientCertificate})
	}
	return secrets
}

func orDash(name string) string {
	if name == "" {
		return "-"
	}
	return name
}
