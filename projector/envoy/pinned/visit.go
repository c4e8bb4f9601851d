package pinned

import (
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// visit looks at everything in a resource that leads to another object.
type visit struct {
	gateway string // its namespace
	// secret is told of each secret that a Gateway or a ListenerSet needs.
	secret func(kind, namespace, name string)
	// deny is asked about each Service in another namespace. Where it says so, the Service
	// is taken out.
	deny func(Reference) bool
	// route is told of each entry that an HTTPRoute or a GRPCRoute has; it may be nil.
	route func(entry string)

	changed bool
}

// resource is r without what is denied: r itself, where that is nothing.
func (v *visit) resource(r routing.Resource) (routing.Resource, error) {
	v.changed = false
	message, err := v.message(r)
	if err != nil || !v.changed {
		return r, err
	}
	r.Body, err = marshal(message)
	r.Digest = routing.DigestOf(r.Body)
	return r, err
}

func (v *visit) message(r routing.Resource) (proto.Message, error) {
	switch r.Type {
	case form.TypeRoute:
		m := &routev3.RouteConfiguration{}
		err := proto.Unmarshal(r.Body, m)
		v.routes(m)
		return m, err
	case form.TypeScope:
		m := &routev3.ScopedRouteConfiguration{}
		err := proto.Unmarshal(r.Body, m)
		v.routes(m.GetRouteConfiguration())
		return m, err
	case form.TypeListener:
		m := &listenerv3.Listener{}
		if err := proto.Unmarshal(r.Body, m); err != nil {
			return nil, err
		}
		return m, v.listener(m)
	case form.TypeCluster:
		m := &clusterv3.Cluster{}
		if err := proto.Unmarshal(r.Body, m); err != nil {
			return nil, err
		}
		tls := &tlsv3.UpstreamTlsContext{}
		if err := unmarshalSocket(m.GetTransportSocket(), tls); err != nil {
			return nil, err
		}
		v.secrets("Gateway", v.gateway, tls.GetCommonTlsContext())
		return m, nil
	}
	return nil, nil // no other type leads anywhere
}

func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func unmarshalSocket(socket *corev3.TransportSocket, into proto.Message) error {
	if socket == nil {
		return nil
	}
	return socket.GetTypedConfig().UnmarshalTo(into)
}

func (v *visit) secrets(kind, namespace string, tls *tlsv3.CommonTlsContext) {
	for _, certificate := range tls.GetTlsCertificateSdsSecretConfigs() {
		v.secret(kind, namespace, certificate.GetName())
	}
	if ca := tls.GetCombinedValidationContext().GetValidationContextSdsSecretConfig(); ca != nil {
		v.secret(kind, namespace, ca.GetName())
	}
}

// routes looks at the routes of all hosts.
func (v *visit) routes(config *routev3.RouteConfiguration) {
	for _, host := range config.GetVirtualHosts() {
		for _, r := range host.GetRoutes() {
			if v.route != nil {
				v.route(r.GetName())
			}
			action := r.GetRoute()
			if action == nil {
				continue
			}
			from := originOf(r.GetName())
			if v.denies(from, action.GetCluster()) {
				action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: form.Unresolved}
			}
			for _, c := range action.GetWeightedClusters().GetClusters() {
				if v.denies(from, c.GetName()) {
					c.Name = form.Unresolved
				}
			}
			action.RequestMirrorPolicies = slices.DeleteFunc(action.RequestMirrorPolicies, func(m *routev3.RouteAction_RequestMirrorPolicy) bool {
				return v.denies(from, m.GetCluster())
			})
		}
	}
}

// origin is the kind and the namespace of a route.
type origin struct{ kind, namespace string }

// originOf reads namespace/route/rule/match, which of what is no HTTPRoute has the kind
// ahead of it.
func originOf(entry string) origin {
	kind := "HTTPRoute"
	if strings.Count(entry, "/") == 4 {
		var short string
		short, entry, _ = strings.Cut(entry, "/")
		kind = strings.ToUpper(short) + "Route"
	}
	namespace, _, _ := strings.Cut(entry, "/")
	return origin{kind, namespace}
}

// denies asks about a cluster, which is named namespace/service/port and more.
func (v *visit) denies(from origin, cluster string) bool {
	namespace, rest, ok := strings.Cut(cluster, "/")
	service, _, _ := strings.Cut(rest, "/")
	if !ok || namespace == from.namespace {
		return false
	}
	denied := v.deny(Reference{Kind: from.kind, Namespace: from.namespace, To: events.Key{Resource: events.Services, Namespace: namespace, Name: service}})
	v.changed = v.changed || denied
	return denied
}

// within visits a message that is packed into another one, and packs it anew where
// something in it was taken out.
func (v *visit) within(packed *anypb.Any, m proto.Message, visit func() error) error {
	if err := packed.UnmarshalTo(m); err != nil {
		return err
	}
	before := v.changed
	v.changed = false
	if err := visit(); err != nil {
		return err
	}
	if v.changed {
		return rewrite(packed, m)
	}
	v.changed = before
	return nil
}

// rewrite puts a configuration back into where it was.
func rewrite(into *anypb.Any, m proto.Message) error {
	body, err := marshal(m)
	into.Value = body
	return err
}
