package route

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/parameters"
)

// Layout is how the virtual hosts of a Gateway are laid out for Envoy.
type Layout string

// The layouts. They answer every request alike (a differential test holds them
// against each other); they differ in what one change costs Envoy.
const (
	// LayoutPlain puts all virtual hosts of a filter chain into one RouteConfiguration.
	LayoutPlain Layout = parameters.LayoutPlain
	// LayoutScoped gives each hostname a route scope of its own.
	LayoutScoped Layout = parameters.LayoutScoped
)

// Gateway is what the Envoys of one Gateway listen on.
type Gateway struct {
	Key           events.Key
	Layout        Layout
	ListenAddress string
	AccessLog     parameters.AccessLog
	Edge          parameters.Edge
	// Tokens are what all requests must carry; nil is nothing.
	Tokens *parameters.Tokens
	// Chains are sorted by port and ID.
	Chains []Chain
}

// Chain is the chain with an ID, or nil. There may be thousands.
func (g *Gateway) Chain(id string) *Chain {
	port, err := chainPort(id)
	if err != nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(g.Chains, Chain{ID: id, Port: port}, Chain.compare)
	if !found {
		return nil
	}
	return &g.Chains[i]
}

// chainPort is the port in the ID of a chain.
func chainPort(id string) (int32, error) {
	_, rest, _ := strings.Cut(id, "-")
	text, _, _ := strings.Cut(rest, "-")
	port, err := strconv.ParseInt(text, 10, 32)
	return int32(port), err
}

func (c Chain) compare(d Chain) int {
	return cmp.Or(cmp.Compare(c.Port, d.Port), cmp.Compare(c.ID, d.ID))
}

// Name is namespace/name.
func (g *Gateway) Name() string { return g.Key.Namespace + "/" + g.Key.Name }

// Stream says that a chain forwards bytes or datagrams, and does not look at requests.
type Stream string

// What a chain may forward; "" are HTTP requests.
const (
	StreamTCP Stream = "tcp"
	StreamUDP Stream = "udp"
)

// Chain is what serves all HTTP listeners of a port, or one listener of any other
// protocol. For HTTP it is one Envoy filter chain; a stream has one for each of its
// hosts, of which the first entry takes all connections.
type Chain struct {
	// ID is unique in the Gateway, lower case and without ":" and "/": http-<port>,
	// tcp-<port>, udp-<port>, https-<port>-<listener>, tls-<port>-<listener>, where a
	// listener of a ListenerSet is <namespace>_<set>_<listener>.
	ID     string
	Port   int32
	Stream Stream
	// TLS ends here, or with Passthrough at the backend.
	TLS, Passthrough bool
	// ServerName is the SNI that selects the chain: a hostname, *.hostname, or ""
	// for any. Only with HTTPS; the hosts of a stream are selected by their hostnames.
	ServerName string
	// Certificates are the Secrets (namespace/name) that the chain presents. Only with TLS.
	Certificates []string
	// Clients is how the certificates of clients are validated; nil is not at all.
	Clients *ClientValidation
	// Owner is the ListenerSet that alone has listeners on it; zero is the Gateway.
	Owner events.Key
	// Auth is what listeners of the chain ask before a route is chosen, by listener.
	Auth []ListenerAuth
}

// ListenerAuth is whom one listener asks about each request, in this order.
type ListenerAuth struct {
	Listener string
	Filters  []ExternalAuth
}

// ExternalAuth is a server that lets requests in, or not, and may change their headers
// (HTTPExternalAuthFilter).
type ExternalAuth struct {
	Cluster string
	// GRPC speaks Envoy's protocol for it; otherwise 200 lets a request in.
	GRPC bool
	// Prefix is put ahead of the path that the server sees. Only without GRPC.
	Prefix string
	// RequestHeaders are those that the server is told (lower case); empty is all of them
	// with GRPC, otherwise what it is told anyway.
	RequestHeaders []string
	// ResponseHeaders are those that go from its answer into the request; empty is all.
	// Only without GRPC.
	ResponseHeaders []string
	// MaxBody is the largest body that the server is told; 0 is none.
	MaxBody uint32
}

// ClientValidation is how the certificates of clients are validated.
type ClientValidation struct {
	// CA names the secret with the certificates to trust.
	CA string
	// Optional lets clients in without a valid certificate too.
	Optional bool
}

// HostID names one virtual host: a hostname, *.hostname, or * for any.
type HostID struct{ Gateway, Chain, Hostname string }

// Host is what one virtual host of a chain does.
type Host struct {
	ID HostID
	// Misdirected hosts belong to another listener of the port: every request gets 421
	// (Listener.hostname, "misdirected requests"). See [MisdirectedChain].
	Misdirected bool
	// Auth is the listener of Chain.Auth whose host it is; "" for none.
	Auth string
	// Entries are tried in order. A request that none matches gets 404.
	Entries []Entry
	// Shadows are the rules that no request meets, sorted, of the routes that have this
	// hostname themselves.
	Shadows []Shadow
}

// Entry is one match of one rule.
type Entry struct {
	// Name is unique in the host: namespace/route/rule index/match index, with grpc/,
	// tls/, tcp/ or udp/ ahead of it for what is no HTTPRoute.
	Name  string
	Match Match
	Rule  *Rule
	// Tenant is whose requests it is for; nil is those of all.
	Tenant *Tenant
}

// MatchKind says how a value is compared.
type MatchKind string

// The ways to compare. Prefix is by path elements (/a matches /a and /a/b, not /ab).
const (
	Exact  MatchKind = "Exact"
	Prefix MatchKind = "PathPrefix"
	Regex  MatchKind = "RegularExpression"
)

// Match is a set of conditions that must all hold.
type Match struct {
	Path    PathMatch
	Method  string // "" is any
	Headers []ValueMatch
	Query   []ValueMatch
	// GRPC is set of a GRPCRoute: only gRPC requests match. Path says which methods.
	GRPC *GRPCMatch
}

// GRPCMatch is what a GRPCRoute asks for, which decides its precedence; "" is any.
type GRPCMatch struct{ Service, Method string }

// PathMatch is a condition on the path without the query.
type PathMatch struct {
	Kind  MatchKind
	Value string
}

// ValueMatch is a condition on a header (name in lower case) or a query parameter.
type ValueMatch struct {
	Name  string
	Kind  MatchKind // Exact or Regex (RE2, whole value)
	Value string
}

// Rule is one rule of a route, resolved: nothing in it refers to an object that
// would have to be looked up.
type Rule struct {
	Route events.Key
	Index int
	// Name is the rule's own name, or "".
	Name    string
	Filters Filters
	// Backends receive requests in proportion to their weights; those with weight
	// 0 are left out. Empty where Filters answer (Redirect), or when there is none:
	// then every request gets 500.
	Backends []Backend
	// Timeout of the whole request and of one attempt; nil is unset, 0 is none.
	Timeout, BackendTimeout *time.Duration
	Retry                   *Retry
}

// Backend is one share of a rule's requests.
type Backend struct {
	// Cluster names where requests go; "" is a reference that cannot be resolved: its
	// share gets 500 (HTTPRouteRule.backendRefs), or UNAVAILABLE (GRPCRouteRule.backendRefs).
	Cluster string
	// Passthrough names where connections go whose TLS does not end at the Gateway,
	// where that is not Cluster.
	Passthrough string
	Weight      uint32
	Filters     Filters
}

// ClusterFor is where a connection goes on a chain; see Passthrough.
func (b *Backend) ClusterFor(c *Chain) string { return b.clusterFor(c.Passthrough) }

func (b *Backend) clusterFor(passthrough bool) string {
	if passthrough && b.Passthrough != "" {
		return b.Passthrough
	}
	return b.Cluster
}

// Filters change a request or answer it, of a rule or of one backend.
type Filters struct {
	RequestHeaders  *HeaderChange
	ResponseHeaders *HeaderChange
	Redirect        *Redirect
	Rewrite         *Rewrite
	Mirrors         []Mirror
	CORS            *CORS
}

// HeaderChange sets (overwrites), adds (appends) and removes headers.
type HeaderChange struct {
	Set, Add []Header
	Remove   []string
}

// Header is a name (as written) and a value.
type Header struct{ Name, Value string }

// Redirect answers with a Location.
type Redirect struct {
	Scheme   string // "" keeps
	Hostname string // "" keeps
	Path     *PathChange
	// Port is the port to name in Location; 0 leaves it out. The rules for a port
	// that the filter does not set are applied per listener in package envoy.
	Port       int32
	StatusCode int
}

// Rewrite changes what the backend sees.
type Rewrite struct {
	Hostname string // "" keeps
	Path     *PathChange
}

// PathChange replaces the whole path, or the prefix that the match has.
type PathChange struct {
	// Full replaces the path but not the query; otherwise Prefix replaces Matched.
	Full    *string
	Matched string
	Prefix  *string
}

// Mirror sends a copy of a share of the requests elsewhere, and ignores the answer.
type Mirror struct {
	Cluster                string
	Numerator, Denominator int32
}

// CORS is a cross-origin policy (HTTPCORSFilter).
type CORS struct {
	AllowOrigins     []string
	AllowMethods     []string
	AllowHeaders     []string
	ExposeHeaders    []string
	AllowCredentials bool
	MaxAge           int32 // seconds
}

// Retry repeats requests that the backend did not process (HTTPRouteRetry).
type Retry struct {
	Attempts uint32
	Codes    []uint32
	Backoff  *time.Duration
}

// ClusterID names a cluster of a Gateway.
type ClusterID struct{ Gateway, Name string }

// Protocol is what a backend speaks (ServicePort.appProtocol).
type Protocol string

// The protocols. WebSocket is HTTP/1.1 with upgrades.
const (
	HTTP1     Protocol = "http"
	H2C       Protocol = "kubernetes.io/h2c"
	WebSocket Protocol = "kubernetes.io/ws"
	// Opaque is whatever the client speaks.
	Opaque Protocol = "opaque"
)

// Cluster is a port of a Service as one Gateway reaches it.
type Cluster struct {
	// ID.Name is namespace/service/port as HTTPRoutes reach it, with /grpc, /tcp or
	// /udp behind it as others do, and then /tls/policy where a policy is in force.
	ID      ClusterID
	Service events.Key
	// Endpoints names the endpoint resource: namespace/service/port name, "-" for
	// the port without a name.
	Endpoints string
	Protocol  Protocol
	TLS       *BackendTLS // nil is without
}

// BackendTLS is how a backend is reached over TLS (BackendTLSPolicy).
type BackendTLS struct {
	// Policy is the object that says so.
	Policy events.Key
	// Hostname is the server name to ask for.
	Hostname string
	// Names are those of which the backend's certificate must have one.
	Names []AltName
	// CA names the secret with the certificates to trust.
	CA string
	// ClientCertificate names the secret to present to the backend; "" is none.
	ClientCertificate string
}

// AltName is a subject alternative name of a certificate: a URI, or a hostname or
// *.hostname.
type AltName struct {
	URI   bool
	Value string
}

// SecretID names a secret of a Gateway: namespace/name for a certificate,
// ca/policy/namespace/name for the CA certificates of a policy, and ca/frontend/port
// for those by which clients are validated.
type SecretID struct{ Gateway, Name string }

// Secret is a certificate that a Gateway presents, or the certificates that it trusts.
type Secret struct {
	ID SecretID
	// Key is the object that it was made from, of several the first.
	Key events.Key
	// CertificateChain is PEM. SealedKey is the private key, sealed to the xDS servers.
	CertificateChain []byte
	SealedKey        []byte
	// Authorities are PEM; System stands for those of the system that Envoy runs on.
	Authorities []byte
	System      bool
}
