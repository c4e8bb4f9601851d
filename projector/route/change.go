package route

import (
	"cmp"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

// Change says which outputs were recomputed and came out different or are gone.
// Each list is sorted and without duplicates.
type Change struct {
	Gateways []string
	// Pins are of Gateways: what a RoutingPin has in force changed.
	Pins []string
	// Infrastructures are of Gateways.
	Infrastructures []string
	Hosts           []HostID
	Clusters        []ClusterID
	Secrets         []SecretID
	Verdicts        []events.Key
}

// Empty tells whether nothing changed.
func (c Change) Empty() bool {
	return len(c.Gateways)+len(c.Pins)+len(c.Infrastructures)+len(c.Hosts)+len(c.Clusters)+len(c.Secrets)+len(c.Verdicts) == 0
}

func (c Change) normalised() Change {
	slices.Sort(c.Gateways)
	c.Gateways = slices.Compact(c.Gateways)
	slices.Sort(c.Pins)
	c.Pins = slices.Compact(c.Pins)
	slices.Sort(c.Infrastructures)
	c.Infrastructures = slices.Compact(c.Infrastructures)
	sortCompact(&c.Hosts, func(a, b HostID) int {
		return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Chain, b.Chain), cmp.Compare(a.Hostname, b.Hostname))
	})
	sortCompact(&c.Clusters, func(a, b ClusterID) int {
		return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Name, b.Name))
	})
	sortCompact(&c.Secrets, func(a, b SecretID) int { return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Name, b.Name)) })
	sortCompact(&c.Verdicts, events.Key.Compare)
	return c
}

func sortCompact[T comparable](list *[]T, compare func(a, b T) int) {
	slices.SortFunc(*list, compare)
	*list = slices.Compact(*list)
}
