package events

import (
	"fmt"
	"strconv"
	"strings"
)

// Version names a state of the routing: the last sequence of EVENTS that is
// folded into it, within one incarnation of that stream. Sequences of different
// incarnations are never compared (invariant 2).
type Version struct {
	Incarnation string `json:"incarnation"`
	Sequence    uint64 `json:"sequence"`
}

// String is incarnation/sequence.
func (v Version) String() string { return v.Incarnation + "/" + strconv.FormatUint(v.Sequence, 10) }

// IsZero tells whether v names no version.
func (v Version) IsZero() bool { return v == Version{} }

// ParseVersion reads what [Version.String] writes.
func ParseVersion(s string) (Version, error) {
	incarnation, number, ok := strings.Cut(s, "/")
	sequence, err := strconv.ParseUint(number, 10, 64)
	if !ok || incarnation == "" || err != nil {
		return Version{}, fmt.Errorf("version %q is not of the form incarnation/sequence", s)
	}
	return Version{Incarnation: incarnation, Sequence: sequence}, nil
}
