package pki

import (
	"net/url"
	"strings"
)

const (
	trustDomain = "rutter.dev"
	gatewayPath = "/gateway/"
)

// GatewayURI is what the certificates of a Gateway's Envoys say:
// spiffe://rutter.dev/gateway/<namespace>/<name>. gateway is namespace/name, which
// is the node.cluster of the Envoys.
func GatewayURI(gateway string) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: trustDomain, Path: gatewayPath + gateway}
}

// GatewayOf is the Gateway (namespace/name) that a URI of a certificate names.
func GatewayOf(uri *url.URL) (gateway string, ok bool) {
	gateway, ok = strings.CutPrefix(uri.Path, gatewayPath)
	return gateway, ok && uri.Scheme == "spiffe" && uri.Host == trustDomain && strings.Count(gateway, "/") == 1
}
