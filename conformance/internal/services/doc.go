// Package services makes the addresses of Services work: ClusterIPs, addresses of load
// balancers, and externalIPs.
//
//	Service, EndpointSlices ──► table ──► a listener per address and port ──► endpoints
//	Service of type LoadBalancer ──► an address of its own, in its status
//
// All these addresses are local to the node, so forwarding is done by this process: it
// accepts a connection and opens another to an endpoint, in turn. A port without an
// endpoint has no listener, so that a connection is refused at once, as by kube-proxy.
// UDP goes by sessions: datagrams of one client go to one endpoint, until there were
// none for a while.
//
// What it does not do: node ports, session affinity, keeping the client's address, and
// traffic policies. See table.go for the decisions, proxy.go for what carries them out.
package services
