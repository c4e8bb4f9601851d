package route

import (
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// reader is how an output reads its inputs: it notes every look, whether or not
// there was something to see.
type reader struct {
	state *fold.State
	t     *Tables
	noted []node
	// own is the object that the output is of: when that changes, the output is
	// recomputed anyway (see seed).
	own node
}

func (r *reader) note(n node) {
	if n != r.own {
		r.noted = append(r.noted, n)
	}
}

// get reads an object of the log; both results are nil where there is none.
func get[T any](r *reader, key events.Key) (*fold.Object, *T) {
	r.note(objectOf(key))
	return fold.Get[T](r.state, key)
}

// reached is how far time has come for an object that was read with get.
func (r *reader) reached(key events.Key) time.Time { return r.state.Reached(key) }

func (r *reader) settings() events.Settings {
	r.note(node{layer: settingsNode})
	return r.state.Settings
}

// definitions are the CustomResourceDefinitions of the Gateway API, by name.
func (r *reader) definitions() []*fold.Object {
	r.note(node{layer: definitionsNode})
	return slices.DeleteFunc(r.state.Objects(events.CustomResourceDefinitions), func(o *fold.Object) bool {
		return !strings.HasSuffix(o.Key.Name, "."+gatewayv1.GroupName)
	})
}

// unlisted are the resources of which the last list was not made, or not believed.
func (r *reader) unlisted() []fold.Unlisted {
	r.note(node{layer: unlistedNode})
	return r.state.Unlisted()
}

// namespaceLabels are the labels of a namespace, with the one that the API server
// gives to each, which a namespace that was never recorded has too.
func (r *reader) namespaceLabels(namespace string) map[string]string {
	key := events.Key{Resource: events.Namespaces, Name: namespace}
	r.note(objectOf(key))
	labels := map[string]string{corev1.LabelMetadataName: namespace}
	if o := r.state.Object(key); o != nil {
		maps.Copy(labels, o.Labels)
	}
	return labels
}

func (r *reader) class(name string) *class {
	r.note(node{layer: classNode, a: name})
	return r.t.classes[name]
}

func (r *reader) gateway(name string) *gateway {
	r.note(node{layer: gatewayNode, a: name})
	return r.t.gateways[name]
}

// listenerSets are those that name a Gateway, in the order of their precedence.
func (r *reader) listenerSets(gateway string) []*listenerSet {
	r.note(node{layer: setsNode, a: gateway})
	sets := make([]*listenerSet, 0, len(r.t.setsOf[gateway]))
	for key := range r.t.setsOf[gateway] { //determinism: sorted below
		r.note(listenerSetOf(key))
		sets = append(sets, r.t.sets[key])
	}
	slices.SortFunc(sets, func(a, b *listenerSet) int { return a.order.compare(b.order) })
	return sets
}

func (r *reader) parent(key events.Key) *parent {
	r.note(parentOf(key))
	return r.t.parents[key]
}

// owner is the one listener of a port that answers hostname: the most specific that
// is served (GatewaySpec.listeners, "Listener Isolation"). Nil if none does. Below is
// how specific is enough to look for; nothing there has to be noted.
func (r *reader) owner(gateway string, at spot, below string) *listener {
	for _, pattern := range covering(at.hostname) {
		if pattern == below {
			break
		}
		at.hostname = pattern
		r.note(spotOf(gateway, at))
		if m := r.t.merged[gateway]; m != nil && m.owners[at] != nil {
			return m.owners[at]
		}
	}
	return nil
}

func (r *reader) chain(id chainID) *Chain {
	r.note(chainOutput(id))
	if g := r.t.Gateway(id.gateway); g != nil {
		return g.Chain(id.chain)
	}
	return nil
}

// reference is one object naming another, each by group and kind.
type reference struct {
	fromGroup, fromKind, fromNamespace string
	toGroup, toKind                    string
	to                                 events.Key
}

// or is an optional field of a reference, or what it stands for when left out.
func or[T ~string](field *T, otherwise string) string {
	if field == nil {
		return otherwise
	}
	return string(*field)
}

// granted tells whether a reference is within a namespace, or permitted by a
// ReferenceGrant in the namespace it leads to (ReferenceGrantSpec).
func (r *reader) granted(ref reference) bool {
	if ref.fromNamespace == ref.to.Namespace {
		return true
	}
	r.note(node{layer: grantsNode, a: ref.to.Namespace})
	for key := range r.t.grants[ref.to.Namespace] { //determinism: any grant that permits gives the same answer
		if _, grant := fold.Get[gatewayv1.ReferenceGrant](r.state, key); grant != nil && permits(&grant.Spec, ref) {
			return true
		}
	}
	return false
}

func permits(grant *gatewayv1.ReferenceGrantSpec, ref reference) bool {
	from := slices.ContainsFunc(grant.From, func(f gatewayv1.ReferenceGrantFrom) bool {
		return string(f.Group) == ref.fromGroup && string(f.Kind) == ref.fromKind && string(f.Namespace) == ref.fromNamespace
	})
	return from && slices.ContainsFunc(grant.To, func(t gatewayv1.ReferenceGrantTo) bool {
		return string(t.Group) == ref.toGroup && string(t.Kind) == ref.toKind && (t.Name == nil || *t.Name == "" || string(*t.Name) == ref.to.Name)
	})
}
