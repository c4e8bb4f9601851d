// Package route decides what every Gateway does with every request, and what
// every object's status says about it. It is pure: values in, values out.
//
//	State, changed keys ──Build──► Tables', Change (outputs recomputed), verdicts
//
// Build is incremental. Every output notes what it read, objects that do not
// exist included; a changed object recomputes exactly the outputs that read it,
// and an output that comes out as before stops the change there. So one changed
// HTTPRoute costs the same with 100 routes as with 40,000, and building from
// nothing gives the same tables (tests hold both).
//
// The layers, each reading only the ones above it:
//
//	class      GatewayClass → is it ours, which parameters
//	policy     BackendTLSPolicy → for which Services, can it be followed
//	gateway    Gateway → its listeners by themselves: accepted, certificates
//	set        ListenerSet → likewise
//	merged     Gateway → which of all these listeners conflict and are served; chains
//	attachment route → per parent: which listeners, which hostnames; resolved rules
//	host       (gateway, chain, hostname) → rules of all routes there, in order of precedence; which are shadowed
//	cluster    (gateway, Service port) → what is needed to reach it
//	secret     (gateway, name) → certificate chain and sealed key, or certificates to trust
//	verdict    status of a GatewayClass, Gateway, ListenerSet, route (with what shadows it) or policy
//
// Rules of the Gateway API name the type whose documentation states them
// (sigs.k8s.io/gateway-api v1.7, apis/v1). Read table.go first, then build.go
// (what is recomputed), merge.go (listeners) and takeover.go (what becomes of the result).
package route
