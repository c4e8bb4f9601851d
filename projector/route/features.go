package route

import "slices"

// features are those of the Gateway API that Gateways of our classes have, by the
// names of sigs.k8s.io/gateway-api/pkg/features, in the order in which a
// GatewayClass lists them. A feature is here once all of it works. What needs fields that
// only the experimental channel has is there where they are.
func features(provisioned, experimental bool) []string {
	all := []string{
		"Gateway",
		"GatewayHTTPListenerIsolation",
		"GatewayHTTPSListenerDetectMisdirectedRequests",
		"GatewayPort8080",
		"GatewayRouteHostnameIntersectionPrecedence",
		"ListenerSet",
		"ReferenceGrant",

		"BackendTLSPolicy",
		"BackendTLSPolicySANValidation",
		"ClusterTrustBundle",
		"GatewayBackendClientCertificate",
		"GatewayFrontendClientCertificateValidation",
		"GatewayFrontendClientCertificateValidationInsecureFallback",

		"HTTPRoute",
		"HTTPRoute303RedirectStatusCode",
		"HTTPRoute307RedirectStatusCode",
		"HTTPRoute308RedirectStatusCode",
		"HTTPRouteBackendProtocolH2C",
		"HTTPRouteBackendProtocolWebSocket",
		"HTTPRouteBackendRequestHeaderModification",
		"HTTPRouteBackendTimeout",
		"HTTPRouteBackendURLRewrite",
		"HTTPRouteCORS",
		"HTTPRouteDestinationPortMatching",
		"HTTPRouteHostRewrite",
		"HTTPRouteMethodMatching",
		"HTTPRouteNamedRouteRule",
		"HTTPRouteParentRefPort",
		"HTTPRoutePathRedirect",
		"HTTPRoutePathRewrite",
		"HTTPRoutePortRedirect",
		"HTTPRouteQueryParamMatching",
		"HTTPRouteRequestMirror",
		"HTTPRouteRequestMultipleMirrors",
		"HTTPRouteRequestPercentageMirror",
		"HTTPRouteRequestTimeout",
		"HTTPRouteResponseHeaderModification",
		"HTTPRouteRetryCodes",
		"HTTPRouteRetryConnectionError",
		"HTTPRouteSchemeRedirect",

		"GRPCRoute",
		"GRPCRouteNamedRouteRule",
		"GRPCRouteRequestHeaderModifier",

		"TLSRoute",
		"TLSRouteModeMixed",
		"TLSRouteModeTerminate",
		"TCPRoute",
		"UDPRoute",
	}
	if provisioned {
		// A Gateway has a Service and Envoys of its own.
		all = append(all, "GatewayAddressEmpty", "GatewayInfrastructure", "GatewayStaticAddresses")
	}
	if experimental {
		all = append(all, "GatewayListenerFilters")
	}
	if provisioned && experimental {
		all = append(all, "GatewayAddressRoutability", "GatewayAddressRoutabilityCluster")
	}
	slices.Sort(all)
	return all
}
