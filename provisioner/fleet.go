package provisioner

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/rutter-gateway/rutter/events/routing"
)

// fleet is the infrastructure of each Gateway, as of the newest version.
type fleet struct {
	mu       sync.Mutex
	gateways map[types.NamespacedName]*routing.Infrastructure
}

func newFleet() *fleet { return &fleet{gateways: map[types.NamespacedName]*routing.Infrastructure{}} }

// take adds a version and returns the Gateways whose infrastructure changed, and the
// classes that Gateways came to or left.
func (f *fleet) take(snap *routing.Snapshot) (changed []types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	there := map[types.NamespacedName]bool{}
	for i := range snap.Gateways {
		g := nameOf(snap.Gateways[i].Gateway)
		there[g] = true
		changed = append(changed, f.set(g, snap.Gateways[i].Infrastructure)...)
	}
	if snap.Previous.IsZero() { // a whole version
		for g := range f.gateways {
			if !there[g] {
				changed = append(changed, f.set(g, nil)...)
			}
		}
	}
	return changed
}

func (f *fleet) set(g types.NamespacedName, in *routing.Infrastructure) (changed []types.NamespacedName) {
	before := f.gateways[g]
	if reflect.DeepEqual(before, in) {
		return nil
	}
	changed = append(changed, g)
	for _, one := range []*routing.Infrastructure{before, in} {
		if one != nil && (before == nil || in == nil || before.Class != in.Class) {
			changed = append(changed, classNamed(one.Class))
		}
	}
	if in == nil {
		delete(f.gateways, g)
	} else {
		f.gateways[g] = in
	}
	return changed
}

// uses tells whether a Gateway of a class has an infrastructure.
func (f *fleet) uses(class string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, in := range f.gateways {
		if in.Class == class {
			return true
		}
	}
	return false
}

// of is the infrastructure of a Gateway; nil when there is to be none. It must not
// be changed.
func (f *fleet) of(g types.NamespacedName) *routing.Infrastructure {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gateways[g]
}

// names are all Gateways that have an infrastructure.
func (f *fleet) names() []types.NamespacedName {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.gateways))
}

func (f *fleet) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.gateways)
}

func nameOf(gateway string) types.NamespacedName {
	namespace, name, _ := strings.Cut(gateway, "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}
