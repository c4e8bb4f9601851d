// Package podnet gives each pod a network of its own: a network namespace, joined to
// a bridge by a pair of virtual Ethernet devices.
//
//	           10.244.0.1              the node: services, DNS, API server
//	               │ bridge
//	   ┌───────────┼───────────┐
//	10.244.0.2  10.244.0.3  10.244.0.4     eth0 of the pods
//
// Pods reach each other and the node by address; everything that is no pod goes by
// the default route to the node, where the addresses of Services are local. No
// address is given out twice, so that a connection meant for a pod that is gone can
// never reach another.
package podnet
