package envoy

import (
	"slices"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/route"
)

// pinned adds an output for each resource that a pin has in force, but for secrets.
func (b *builder) pinned(gateway string) {
	pin := b.tables.Pin(gateway)
	if pin == nil {
		return
	}
	for _, r := range pin.Content.Resources(pin.Denied) {
		b.outputs = append(b.outputs, Output{ID: OutputID{gateway, KindPinned, r.Type + " " + r.Name}, Resources: []routing.Resource{r}})
	}
}

// underPin builds the other outputs of a Gateway that is pinned. Of secrets there are
// those that the pin needs, as they are today; certificates to trust as they were then,
// where nothing says today what to trust.
func (b *builder) underPin(pin *route.Pin) func(OutputID) ([]routing.Resource, error) {
	return func(id OutputID) ([]routing.Resource, error) {
		if id.Kind != KindSecret || !slices.Contains(pin.Content.Secrets(), id.Name) {
			return nil, nil
		}
		resources, err := b.secret(id)
		if len(resources) > 0 || err != nil {
			return resources, err
		}
		if then, ok := pin.Content.Authority(id.Name); ok {
			return []routing.Resource{then}, nil
		}
		return nil, nil
	}
}
