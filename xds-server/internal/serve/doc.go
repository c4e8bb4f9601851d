// Package serve speaks delta xDS with Envoys: one aggregated stream each.
//
//	Envoy ──DeltaDiscoveryRequest──► stream ──► client.step ──► responses ──► stream ──► Envoy
//	                                               ▲
//	                              store.Reading ───┘ (one consistent moment)
//
// A client remembers the revision of the store up to which it was told of
// changes, and the exceptions: names that it subscribed to, what it has not yet
// acknowledged, what it refused. Everything that is due goes out at once, in an
// order in which nothing refers to something that Envoy does not have: clusters,
// the endpoints of those clusters (unasked), secrets, listeners, scopes and
// routes, and clusters that are gone last. Nobody waits for an acknowledgement.
//
// A response that Envoy refuses is sent again in halves until the resources
// that it refuses stand alone; those are reported and not sent again until their
// digest changes. One Envoy's refusal changes nothing for another.
//
// The package promises: an Envoy of a Gateway that is not ready is answered
// nothing, so that it keeps what it has; every type that is subscribed is
// answered, also when there is nothing; what an Envoy says it has is not sent
// again; names, types, unacknowledged responses and streams are bounded, and the
// stream that passes a bound is ended with a reason. It refuses the
// state-of-the-world protocol.
//
// Read client.go first (the protocol, without a goroutine or a connection), then
// collect.go, answer.go and stream.go.
package serve
