package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy/pinned"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// Pin is the routing of a past version that is in force for a Gateway in the place of
// what its objects say.
type Pin struct {
	// Key is the RoutingPin.
	Key     events.Key
	Version events.Version
	Content *pinned.Routing
	// Denied are the references of Content that no ReferenceGrant permits any more.
	Denied []pinned.Reference

	says string // what the Gateway says of it
}

// pins are the RoutingPins of a Gateway.
type pins struct {
	inForce  *Pin
	verdicts map[events.Key]*routing.Verdict
	// refused is why none is in force, where there are any.
	refused problem
}

func pinOf(gateway string) node { return node{layer: pinNode, a: gateway} }

// pin is the one that is in force for a Gateway, or nil. What is read with it depends on
// which one it is alone, and not on what of it is denied.
func (r *reader) pin(gateway string) *Pin {
	r.note(pinOf(gateway))
	return r.t.Pin(gateway)
}

// Pin is the one that is in force for a Gateway (namespace/name), or nil.
func (t *Tables) Pin(gateway string) *Pin {
	if p := t.pins[gateway]; p != nil {
		return p.inForce
	}
	return nil
}

// indexPin keeps which RoutingPins there are for which Gateway, and marks those Gateways.
func (b *builder) indexPin(key events.Key) {
	t := b.t
	if was, ok := t.pinned[key]; ok {
		delete(t.pinned, key)
		delete(t.pinsOf[was], key)
		t.graph.mark(pinOf(was))
	}
	_, pin := fold.Get[fold.Pin](b.state, key)
	if pin == nil {
		delete(t.contents, key)
		return
	}
	is := key.Namespace + "/" + pin.Spec.GatewayRef.Name
	t.pinned[key] = is
	if t.pinsOf[is] == nil {
		t.pinsOf[is] = map[events.Key]struct{}{}
	}
	t.pinsOf[is][key] = struct{}{}
	t.graph.mark(pinOf(is))
}

// computePins decides which RoutingPin of a Gateway is in force: the oldest that can be.
func (t *Tables) computePins(r *reader, gateway string) *pins {
	var list []*fold.Object
	for key := range t.pinsOf[gateway] { //determinism: sorted below
		list = append(list, r.state.Object(key))
	}
	_, exists := get[gatewayv1.Gateway](r, gatewayKey(gateway))
	g := r.gateway(gateway)
	if len(list) == 0 || g == nil && exists != nil {
		return nil // the Gateway is somebody else's
	}
	slices.SortFunc(list, func(a, b *fold.Object) int {
		return cmp.Or(a.Created.Compare(b.Created), a.Key.Compare(b.Key))
	})
	out := &pins{verdicts: map[events.Key]*routing.Verdict{}}
	for _, o := range list {
		pin, p := t.usablePin(r, gateway, o)
		switch {
		case g == nil:
			p = problem{string(gatewayv1.RouteReasonNoMatchingParent), fmt.Sprintf("The Gateway %s does not exist.", gateway)}
		case p.ok() && out.inForce != nil:
			p = problem{string(gatewayv1.PolicyReasonConflicted), fmt.Sprintf("The older RoutingPin %s/%s is in force for the Gateway %s.", out.inForce.Key.Namespace, out.inForce.Key.Name, gateway)}
		case p.ok():
			out.inForce = pin
		}
		if out.refused.ok() {
			out.refused = p
			if !p.ok() {
				out.refused.message = fmt.Sprintf("The RoutingPin %s/%s is not in force: %s", o.Key.Namespace, o.Key.Name, p.message)
			}
		}
		v := newVerdict(o)
		v.Conditions = []routing.Condition{p.condition(string(gatewayv1.PolicyConditionAccepted), string(gatewayv1.PolicyReasonAccepted), "The routing of that version is in force."+deniedMessage(pin))}
		out.verdicts[o.Key] = v
	}
	return out
}

// usablePin is what a RoutingPin puts in force, or why it cannot be.
func (t *Tables) usablePin(r *reader, gateway string, o *fold.Object) (*Pin, problem) {
	by, _ := o.Value.(*fold.Pin)
	kept := r.state.Kept(o.Key)
	asked := events.PinnedRouting{Gateway: gateway, Version: by.Spec.Version, Digest: by.Spec.Digest}
	switch {
	case kept == nil || !kept.Head.SamePin(asked):
		return nil, problem{string(gatewayv1.GatewayReasonPending), fmt.Sprintf("What was published for the Gateway at %s is being read.", by.Spec.Version)}
	case kept.Head.Problem != nil:
		return nil, problem{kept.Head.Problem.Reason, kept.Head.Problem.Message}
	}
	content, err := t.content(o.Key, kept)
	version, err2 := events.ParseVersion(by.Spec.Version)
	if err := cmp.Or(err, err2); err != nil {
		return nil, problem{"Unreadable", fmt.Sprintf("What was published for the Gateway at %s cannot be read by this release: %v.", by.Spec.Version, err)}
	}
	if p := t.missing(r, gateway, content); !p.ok() {
		return nil, p
	}
	pin := &Pin{Key: o.Key, Version: version, Content: content, says: saysOf(o.Key, by, kept)}
	for _, ref := range content.Backends {
		if !r.grantedPinned(ref, "Service") {
			pin.Denied = append(pin.Denied, ref)
		}
	}
	return pin, problem{}
}

func (r *reader) grantedPinned(ref pinned.Reference, kind string) bool {
	return r.granted(reference{
		fromGroup: gatewayv1.GroupName, fromKind: ref.Kind, fromNamespace: ref.Namespace,
		toGroup: "", toKind: kind, to: ref.To,
	})
}

// missing is what is needed to serve a content and is not there: the keys of its
// certificates, and what its clients are validated by. Backends may be missing.
func (t *Tables) missing(r *reader, gateway string, content *pinned.Routing) problem {
	for _, ref := range content.Certificates {
		name := ref.To.Namespace + "/" + ref.To.Name
		if !r.grantedPinned(ref, "Secret") {
			return problem{string(gatewayv1.ListenerReasonRefNotPermitted), fmt.Sprintf("The Secret %s, which was presented then, is in another namespace, and no ReferenceGrant there permits %ss of %s to use it.", name, ref.Kind, ref.Namespace)}
		}
		if t.computeSecret(r, SecretID{gateway, name}) == nil {
			return problem{string(gatewayv1.ListenerReasonInvalidCertificateRef), fmt.Sprintf("The Secret %s, which was presented then, does not exist or cannot be used.", name)}
		}
	}
	for _, name := range content.Authorities {
		port, ok := strings.CutPrefix(name, authoritiesPrefix+"frontend/")
		if ok && t.clientSecret(r, SecretID{gateway, name}, port) == nil {
			return problem{string(gatewayv1.ListenerReasonNoValidCACertificate), fmt.Sprintf("The certificates of clients were validated on port %s then, and the Gateway has no usable caCertificateRefs for that port.", port)}
		}
	}
	return problem{}
}

// content is what was published, read once.
func (t *Tables) content(key events.Key, kept *fold.Kept) (*pinned.Routing, error) {
	if c := t.contents[key]; c.of == kept {
		return c.routing, c.err
	}
	c := content{of: kept}
	c.routing, c.err = pinned.Read(kept.Head.Gateway, kept.Routing)
	t.contents[key] = c
	return c.routing, c.err
}

// content is what of a RoutingPin's routing was read.
type content struct {
	of      *fold.Kept
	routing *pinned.Routing
	err     error
}

// saysOf says what is in force, since when it is not current, and who wants it so.
func saysOf(key events.Key, pin *fold.Pin, kept *fold.Kept) string {
	out := fmt.Sprintf("The routing of version %s of %s is in force, as the RoutingPin %s/%s", pin.Spec.Version, kept.Time.UTC().Format(time.RFC3339), key.Namespace, key.Name)
	if pin.By != "" {
		out += " of " + pin.By
	}
	out += " says"
	if pin.Spec.Reason != "" {
		out += ": " + strings.TrimSuffix(pin.Spec.Reason, ".")
	}
	return out + ". What changed since then waits."
}

func deniedMessage(pin *Pin) string {
	if pin == nil || len(pin.Denied) == 0 {
		return ""
	}
	var names []string
	for _, ref := range pin.Denied {
		names = append(names, fmt.Sprintf("%s/%s for %ss of %s", ref.To.Namespace, ref.To.Name, ref.Kind, ref.Namespace))
	}
	return " Without the Services that no ReferenceGrant permits any more: " + strings.Join(names, ", ") + "."
}
