// Package envoyagent stands beside an Envoy in its pod, and speaks for it.
//
//	kubelet    ──/readyz──► is Envoy ready, and not about to end?
//	Prometheus ──/metrics─► Envoy's statistics
//	SIGTERM    ──► drain: Envoy asks its clients to leave; the end once they have, or after a limit
//	kubelet    ──/drained─► (preStop of the Envoy container) answers once that is over
//
// When a pod ends, the kubelet asks both of its containers at once. The agent
// drains at its own SIGTERM, and Envoy is held back by its preStop hook, which only
// waits: so nobody who reaches the port can make an Envoy drain. The administration
// interface stays a socket that no other pod reaches.
//
// Read agent.go first, then admin.go.
package envoyagent
