package form

// The type URLs of the resources.
const (
	TypeListener = "type.googleapis.com/envoy.config.listener.v3.Listener"
	TypeRoute    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	TypeScope    = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"
	TypeCluster  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	TypeEndpoint = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	// TypeExtension is a filter of a listener, which it names.
	TypeExtension = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
	TypeSecret    = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)
