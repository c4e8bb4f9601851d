package routing

import (
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// Receipt is one message of RECEIPTS: what the Envoys of one xDS server hold.
// It is the whole picture of that server, so only the last one per server
// counts; exceptions are in it as soon as they happen.
type Receipt struct {
	// Server is the xDS server that reports, Time when, in UTC.
	Server string    `json:"server"`
	Time   time.Time `json:"time"`
	// Envoys are those with a live stream, sorted by node id.
	Envoys []EnvoyReceipt `json:"envoys"`
}

// EnvoyReceipt is what one connected Envoy runs.
type EnvoyReceipt struct {
	// Node is the node.id, Gateway the node.cluster (namespace/name).
	Node    string `json:"node"`
	Gateway string `json:"gateway"`
	// Connected is when its stream began.
	Connected time.Time `json:"connected"`
	// Held is the last version that it acknowledged in every type it subscribed
	// to (less what it refused); zero before the first. HeldAt is when that came true.
	Held   events.Version `json:"held,omitzero"`
	HeldAt time.Time      `json:"heldAt,omitzero"`
	// Refused are the resources that it rejected and that it was sent last, sorted.
	Refused []Refusal `json:"refused,omitempty"`
}

// Refusal is one resource that an Envoy rejected.
type Refusal struct {
	ResourceName
	Digest Digest `json:"digest"`
	// Reason is Envoy's error_detail.
	Reason string     `json:"reason"`
	Time   time.Time  `json:"time"`
	Origin events.Key `json:"origin"`
	// LastGood is the body that was served under this name before; empty for none.
	// It is left out, and Large set, where it would not fit an event: then there can
	// be no verdict, and each Envoy keeps what it has.
	LastGood []byte `json:"lastGood,omitempty"`
	Large    bool   `json:"large,omitempty"`
	// LastSealed is the sealed private key that belongs to LastGood, of a secret.
	LastSealed []byte `json:"lastSealed,omitempty"`
}
