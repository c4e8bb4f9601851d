// Package provisioner builds what the Envoys of each Gateway need in Kubernetes, and
// takes it away again.
//
//	SNAPSHOTS ──► fleet: the infrastructure of each Gateway ─┐
//	                                                         ├──► queue of Gateways ──► infra.Objects ──server-side apply──► Kubernetes
//	Kubernetes ──watch──► what was built was changed or is gone ─┘                      pki: certificates ──► Secrets
//	                                                                                    finalizers of GatewayClasses
//
// It promises:
//
//   - What is built is what the newest version says, also after somebody changed or
//     deleted it; what others added is left alone, because only what [infra.Objects]
//     sets is applied.
//   - Nothing that was not built for a Gateway is touched: an object of the same name
//     that does not belong to the Gateway stays, and the Gateway says so (its Service
//     gives it no address).
//   - What was built goes with its Gateway (it is owned by it), and when the Gateway
//     is no longer accepted; nothing is taken away before the newest version is known.
//   - What somebody takes away is built again at once, but ever more slowly when it is
//     taken away again and again.
//   - A GatewayClass is not gone before what was built for its Gateways is (class.go).
//   - Certificates are renewed after two thirds of their life.
//
// Crash story: nothing is remembered. The next start reads the newest version and
// what is built, and applies the difference; to apply what is so already changes
// nothing. Two that run at once do the same work twice.
//
// It refuses to read Gateways: what it needs of them is in the versions, so that what
// is built can be replayed as routing can.
//
// Read service.go first, then reconcile.go.
package provisioner
