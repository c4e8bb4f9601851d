package routing

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/events"
)

// Pinned is what a RoutingPin puts in force: one Gateway of one version, as a whole
// version that has nothing else. Private keys are left out: those of today are served.
// Nil where the version has nothing for the Gateway.
func Pinned(s *State, gateway string) *Snapshot {
	g := s.Gateways[gateway]
	if g == nil {
		return nil
	}
	delta := GatewayDelta{Gateway: gateway, Digest: g.Digest, Infrastructure: g.Infrastructure}
	for _, r := range slices.SortedFunc(maps.Values(g.Resources), func(a, b Resource) int { return a.ResourceName.Compare(b.ResourceName) }) {
		r.Sealed = nil
		delta.Changed = append(delta.Changed, r)
	}
	return &Snapshot{Version: s.Version, FoldVersion: s.FoldVersion, Time: s.Time, Chain: s.Chain, Gateways: []GatewayDelta{delta}}
}

// EncodePinned makes the parts that are recorded of a content, of at most maxBytes each
// as JSON; head is what all parts say.
func EncodePinned(head events.PinnedRouting, content *Snapshot, maxBytes int) ([]events.PinnedRouting, error) {
	data, encoding, err := Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("encode the routing of %s at %s: %w", head.Gateway, head.Version, err)
	}
	// Base64 makes four bytes of three; what else a part says is small.
	size := max(1, (maxBytes-pinnedHead)/4*3)
	var parts []events.PinnedRouting
	for part := range slices.Chunk(data, size) {
		p := head
		p.Part, p.Encoding, p.Data = len(parts), encoding, part
		p.Parts, p.Secrets = (len(data)+size-1)/size, nil
		parts = append(parts, p)
	}
	parts[len(parts)-1].Secrets = head.Secrets
	return parts, nil
}

// pinnedHead is room for all of a part but its data.
const pinnedHead = 16 << 10

// DecodePinned undoes [EncodePinned]. The digests are checked.
func DecodePinned(parts []events.PinnedRouting) (*State, error) {
	var data []byte
	for _, p := range parts {
		data = append(data, p.Data...)
	}
	content := &Snapshot{}
	if err := Unmarshal(data, parts[0].Encoding, content); err != nil {
		return nil, fmt.Errorf("the routing of %s at %s: %w", parts[0].Gateway, parts[0].Version, err)
	}
	state := NewState()
	if err := state.Apply(content); err != nil {
		return nil, fmt.Errorf("the routing of %s: %w", parts[0].Gateway, err)
	}
	return state, nil
}

// Certificates are the Secrets with a private key among the resources of a Gateway: their
// resources are named namespace/name.
func Certificates(resources []Resource) []events.Key {
	var out []events.Key
	for _, r := range resources {
		if namespace, name, ok := strings.Cut(r.Name, "/"); ok && r.Origin.Resource == events.Secrets && r.Origin.Namespace == namespace && r.Origin.Name == name {
			out = append(out, r.Origin)
		}
	}
	return out
}
