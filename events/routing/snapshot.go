package routing

import (
	"cmp"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// Snapshot is one published version, as a delta against the one before.
type Snapshot struct {
	Version  events.Version `json:"version"`
	Previous events.Version `json:"previous,omitzero"`
	// FoldVersion is the version of the rules that made it. The same events under
	// another fold version may rightly give another routing.
	FoldVersion int `json:"foldVersion"`
	// Time is when the last event folded in was observed.
	Time time.Time `json:"time"`
	// Causes are the sequences of the events that were folded in since Previous
	// and that routing or verdicts depend on.
	Causes []uint64 `json:"causes,omitempty"`
	// Chain is the hash over all events up to Version (see fold.State).
	Chain Digest `json:"chain"`

	// Gateways are those whose resources changed, sorted by name.
	Gateways []GatewayDelta `json:"gateways,omitempty"`
	// Verdicts are those that changed, sorted by object; Gone are the objects that have none any more.
	Verdicts []Verdict    `json:"verdicts,omitempty"`
	Gone     []events.Key `json:"gone,omitempty"`
	// VerdictDigest is over all verdicts of this version, changed or not.
	VerdictDigest Digest `json:"verdictDigest"`
}

// GatewayDelta is what changed for the Envoys of one Gateway.
type GatewayDelta struct {
	// Gateway is namespace/name: the node.cluster of its Envoys.
	Gateway string         `json:"gateway"`
	Changed []Resource     `json:"changed,omitempty"`
	Removed []ResourceName `json:"removed,omitempty"`
	// Infrastructure is what its Envoys need around them in this version, changed or
	// not; absent where none are provisioned.
	Infrastructure *Infrastructure `json:"infrastructure,omitempty"`
	// Digest is over all resources of this version, changed or not, and its
	// infrastructure.
	Digest Digest `json:"digest"`
	// Deleted is set when the Gateway is no longer served at all.
	Deleted bool `json:"deleted,omitempty"`
}

// ResourceName names a resource within a Gateway.
type ResourceName struct {
	// Type is the Envoy type URL.
	Type string `json:"type"`
	Name string `json:"name"`
}

// Compare orders names by type and name.
func (n ResourceName) Compare(o ResourceName) int {
	return cmp.Or(cmp.Compare(n.Type, o.Type), cmp.Compare(n.Name, o.Name))
}

// Resource is one Envoy resource, made once and served as it is.
type Resource struct {
	ResourceName
	// Digest is over Body: the xDS version of the resource.
	Digest Digest `json:"digest"`
	// Body is the serialised protobuf message (deterministic), without Any.
	Body []byte `json:"body"`
	// Sealed is the private key that belongs into a Secret's
	// tls_certificate.private_key, sealed to the xDS servers (age); outside Digest,
	// because sealing is randomised.
	Sealed []byte `json:"sealed,omitempty"`
	// Origin is the object from which the resource was made, for messages: the
	// route, Service, Secret or Gateway to tell when Envoy refuses it.
	Origin events.Key `json:"origin"`
}

// Member is what a resource with this name and digest contributes to the digest
// of its Gateway.
func (n ResourceName) Member(digest Digest) Digest {
	return DigestOf([]byte(n.Type), []byte(n.Name), digest[:])
}
