package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// The names of the kind.
const (
	GroupName = "rutter.dev"
	Version   = "v1alpha1"
	Kind      = "RutterClass"
)

// RutterClass is how the Gateways of the GatewayClasses that refer to it are run. It is
// cluster-scoped: it is for whoever runs the cluster.
type RutterClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              RutterClassSpec `json:"spec"`
}

// RutterClassSpec has a section for each concern; one that is left out is as without a
// RutterClass.
type RutterClassSpec struct {
	Proxy     *Proxy     `json:"proxy,omitempty"`
	AccessLog *AccessLog `json:"accessLog,omitempty"`
	Edge      *Edge      `json:"edge,omitempty"`
	Tenancy   *Tenancy   `json:"tenancy,omitempty"`
}

// Proxy is the Deployment and the Service of each Gateway, where they are provisioned.
type Proxy struct {
	// Replicas of the Deployment. Left out, what is installed decides, or an autoscaler.
	Replicas *int32 `json:"replicas,omitempty"`
	// Resources of the container that runs Envoy, in the place of the usual requests.
	// A limit of memory is one that Envoy knows, and stays below.
	Resources *Resources    `json:"resources,omitempty"`
	Service   *ProxyService `json:"service,omitempty"`
	// MaxConnections of clients per Envoy, which refuses the others.
	MaxConnections *int32 `json:"maxConnections,omitempty"`
}

// Resources are what a container asks for, and may have at most: of cpu, memory and
// ephemeral-storage.
type Resources struct {
	Requests map[corev1.ResourceName]resource.Quantity `json:"requests,omitempty"`
	Limits   map[corev1.ResourceName]resource.Quantity `json:"limits,omitempty"`
}

// ProxyService is the Service of a Gateway.
type ProxyService struct {
	Type corev1.ServiceType `json:"type,omitempty"`
	// Annotations are for the Service alone. Those of spec.infrastructure of the Gateway
	// go ahead of them.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Sink is where an access log goes.
type Sink string

// The sinks.
const (
	SinkStdout Sink = "Stdout"
	SinkStderr Sink = "Stderr"
	SinkNone   Sink = "None"
)

// AccessLog is what is logged of each request, or of each connection that is forwarded.
type AccessLog struct {
	// Sink is Stdout unless it says otherwise.
	Sink   Sink       `json:"sink,omitempty"`
	Format *LogFormat `json:"format,omitempty"`
}

// LogFormat has one of the two, with Envoy's command operators, such as
// %RESPONSE_CODE%.
type LogFormat struct {
	// Text is a line.
	Text *string `json:"text,omitempty"`
	// JSON is an object in a line, its fields sorted by name.
	JSON map[string]string `json:"json,omitempty"`
}

// EscapedSlashes is what is done with %2F and %5C in paths.
type EscapedSlashes string

// The ways to treat escaped slashes.
const (
	SlashesKeep                EscapedSlashes = "Keep"
	SlashesReject              EscapedSlashes = "Reject"
	SlashesUnescapeAndRedirect EscapedSlashes = "UnescapeAndRedirect"
	SlashesUnescapeAndForward  EscapedSlashes = "UnescapeAndForward"
)

// Underscores is what is done with header names with an underscore.
type Underscores string

// The ways to treat underscores.
const (
	UnderscoresAllow  Underscores = "Allow"
	UnderscoresReject Underscores = "Reject"
	UnderscoresDrop   Underscores = "Drop"
)

// Edge overrides how clients are treated. A duration of 0s is no limit.
type Edge struct {
	// TrustedHops is how many proxies in front are trusted to name the client in
	// X-Forwarded-For.
	TrustedHops *int32 `json:"trustedHops,omitempty"`
	// IdleTimeout is for connections, StreamIdleTimeout for requests on which nothing moves.
	IdleTimeout           *gatewayv1.Duration `json:"idleTimeout,omitempty"`
	StreamIdleTimeout     *gatewayv1.Duration `json:"streamIdleTimeout,omitempty"`
	RequestHeadersTimeout *gatewayv1.Duration `json:"requestHeadersTimeout,omitempty"`
	// MaxConcurrentStreams of an HTTP/2 connection.
	MaxConcurrentStreams *int32 `json:"maxConcurrentStreams,omitempty"`
	// MaxRequestHeaders is a number, MaxRequestHeadersKiB the size of all together.
	MaxRequestHeaders      *int32         `json:"maxRequestHeaders,omitempty"`
	MaxRequestHeadersKiB   *int32         `json:"maxRequestHeadersKiB,omitempty"`
	EscapedSlashes         EscapedSlashes `json:"escapedSlashes,omitempty"`
	HeadersWithUnderscores Underscores    `json:"headersWithUnderscores,omitempty"`
}

// TenancyMode is by what tenants are told apart.
type TenancyMode string

// The modes.
const (
	// TenancyNamespace makes each namespace a tenant.
	TenancyNamespace TenancyMode = "namespace"
	// TenancyLabelSelector makes all namespaces with one value of a label a tenant.
	TenancyLabelSelector TenancyMode = "labelSelector"
	// TenancyAuthHeader lets tenants share Gateways, and tells their requests apart.
	TenancyAuthHeader TenancyMode = "authHeader"
)

// Tenancy keeps tenants apart.
type Tenancy struct {
	Mode TenancyMode `json:"mode"`
	// TenantIDLabel is a label of namespaces, whose value is the tenant. Without it, in
	// the mode authHeader, the name of the namespace is.
	TenantIDLabel string `json:"tenantIDLabel,omitempty"`
	// AllowedNamespaces are no tenant's: their routes and ListenerSets may attach to the
	// Gateways of all, and in the mode authHeader are reached by all.
	AllowedNamespaces []string `json:"allowedNamespaces,omitempty"`
	// AuthHeader is for the mode authHeader.
	AuthHeader *AuthHeader `json:"authHeader,omitempty"`
}

// AuthHeader says which token (JWT) a request has to carry. It must be signed by one of
// the keys, not be expired, and name the issuer, one of the audiences and the tenant.
type AuthHeader struct {
	// Header is Authorization unless it says otherwise, which has "Bearer " ahead of the
	// token; any other has the token alone.
	Header    string   `json:"header,omitempty"`
	Issuer    string   `json:"issuer"`
	Audiences []string `json:"audiences"`
	// Claim names the tenant, or is a list of tenants; "tenant" unless it says otherwise.
	Claim string `json:"claim,omitempty"`
	// Forward says that backends see the token.
	Forward bool `json:"forward,omitempty"`
	JWKS    JWKS `json:"jwks"`
}

// JWKS is where the public keys of the issuer are, one of the two.
type JWKS struct {
	ConfigMapRef *ConfigMapReference `json:"configMapRef,omitempty"`
	// URL is http or https. The certificate is checked by the authorities of the system
	// that Envoy runs on.
	URL *string `json:"url,omitempty"`
}

// ConfigMapReference names a ConfigMap with a JSON Web Key Set in the entry jwks.json.
type ConfigMapReference struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}
