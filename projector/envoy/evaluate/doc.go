// Package evaluate says what an Envoy does with a request, from what was published
// for it alone.
//
//	published resources ──Read──► Config ──Answer(Request)──► listener, host, route, where it goes
//
// It follows Envoy, and not the Gateway API: what is explained is what was served,
// whatever made it. A test sends the same random requests to a real Envoy and holds it
// to listener, host, route, backends and status. It treats what package envoy
// publishes and refuses to guess about anything else.
//
// Pure: no clock, no chance. Where Envoy decides by chance, the answer has shares.
// Read config.go first, then answer.go.
package evaluate
