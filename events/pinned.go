package events

// PinnedRouting is what was published for a Gateway in the version that a RoutingPin
// names. It is recorded because the fold reads nothing but EVENTS, and because
// SNAPSHOTS forgets. Its key is that of the RoutingPin. What is too large for one
// message is cut into parts, which follow each other; other events may lie in between.
type PinnedRouting struct {
	// Gateway is namespace/name. Version and Digest are as the RoutingPin has them: to
	// one that says something else the event does not belong.
	Gateway string `json:"gateway"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
	// Part counts from 0 to Parts-1.
	Part  int `json:"part,omitempty"`
	Parts int `json:"parts,omitempty"`
	// Data of all parts together is the content: JSON, with the encoding "zstd" or "".
	Encoding string `json:"encoding,omitempty"`
	Data     []byte `json:"data,omitempty"`
	// Secrets are those of which the content needs the key, in its last part.
	Secrets []Key `json:"secrets,omitempty"`
	// Problem says why there is no content.
	Problem *PinProblem `json:"problem,omitempty"`
}

// SamePin tells whether two are about the same content of the same Gateway.
func (p PinnedRouting) SamePin(o PinnedRouting) bool {
	return p.Gateway == o.Gateway && p.Version == o.Version && p.Digest == o.Digest
}

// PinProblem is why what a RoutingPin names cannot be put in force.
type PinProblem struct {
	// Reason is one of the constants below; Message is a sentence for people.
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Reasons of a PinProblem.
const (
	// ReasonVersionUnknown: no version of that name was ever published.
	ReasonVersionUnknown = "VersionUnknown"
	// ReasonVersionNotKept: retention has removed the version.
	ReasonVersionNotKept = "VersionNotKept"
	// ReasonGatewayUnknown: the version has nothing for the Gateway.
	ReasonGatewayUnknown = "GatewayUnknown"
	// ReasonDigestDiffers: what was published has another digest.
	ReasonDigestDiffers = "DigestDiffers"
)
