package fold

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Version is the version of the rules of fold, route and envoy together. It is
// raised whenever the same events may give another routing or other verdicts, from
// the first release on.
const Version = 1

// ErrOrder is returned by [State.Apply] for an event that does not follow the
// last one applied.
var ErrOrder = errors.New("the event does not follow the last one folded")

// ErrUnknownType is returned by [State.Apply] for an event type that this build does not know.
var ErrUnknownType = errors.New("unknown event type")

// State is everything that routing depends on, after the event at Version. Only
// Apply changes it. The objects it hands out are shared and must not be changed.
type State struct {
	Version  events.Version
	Time     time.Time
	Epoch    uint64
	Settings events.Settings
	// Chain is the hash over all events so far: one altered, lost or moved event
	// changes it for ever after. Private keys count by their digests, so that it is
	// the same where they were left out ([events.Event.Keyless]).
	Chain routing.Digest

	// content is what is kept of each object.
	content Content
	// partial states began after events that are lost, see After.
	partial bool
	synced  map[string]bool
	// unlisted is what is wrong with the last list of a resource.
	unlisted map[string]events.SyncProblem
	objects  map[string]map[events.Key]*Object
	// reached is how far time has come for each Secret.
	reached  map[events.Key]time.Time
	verdicts map[VerdictKey]events.Verdict
	refused  []VerdictKey // the keys of verdicts, oldest first
	// kept is what RoutingPins put in force, coming the parts of what is not whole yet.
	kept   map[events.Key]*Kept
	coming map[events.Key][]events.PinnedRouting
	// classes are by the name of the GatewayClass.
	classes map[string]*Class
}

// Object is one object as it is in force.
type Object struct {
	Key        events.Key
	UID        string
	Generation int64
	Created    time.Time
	// Labels are kept of Namespaces, and Annotations of GatewayClasses: the only ones
	// that are read.
	Labels, Annotations map[string]string
	// Sequence is that of the event which recorded this form, Since that of the
	// first with this UID and generation: a version at or after Since includes it.
	Sequence, Since uint64
	// Value is the decoded object, or what routing reads of it: a pointer to the type
	// of its kind (see decode).
	Value any
	// Problem says why a newer recorded form cannot be decoded; Value is then the
	// last good one, or nil where there never was one.
	Problem string

	raw, good []byte
	// entered is, of a Gateway, the sequence of the event with which it came to its
	// class: the first with this UID and class.
	entered uint64
}

// Recorded is the newest recorded form, as JSON; nil where the state keeps none.
func (o *Object) Recorded() []byte { return o.raw }

// Content says what a state keeps of each object. It folds alike whatever that is.
type Content uint8

// What is kept: a state of Values cannot be written as a checkpoint, and one of
// Bytes can be nothing else.
const (
	Everything Content = iota
	Values             // what is decoded
	Bytes              // what is recorded
)

// VerdictKey names a published resource that Envoy refused.
type VerdictKey struct{ Gateway, Type, Name, Digest string }

// NewState is the state before the first event of an incarnation of EVENTS.
func NewState(incarnation string) *State {
	return &State{
		Version:  events.Version{Incarnation: incarnation},
		synced:   map[string]bool{},
		unlisted: map[string]events.SyncProblem{},
		objects:  map[string]map[events.Key]*Object{},
		reached:  map[events.Key]time.Time{},
		verdicts: map[VerdictKey]events.Verdict{},
		kept:     map[events.Key]*Kept{},
		coming:   map[events.Key][]events.PinnedRouting{},
		classes:  map[string]*Class{},
	}
}

// After is a state that begins after the event at sequence, where that one and
// all before are lost. It is not [State.Ready] before each resource was listed whole.
func After(incarnation string, sequence uint64) *State {
	s := NewState(incarnation)
	s.Version.Sequence, s.partial = sequence, true
	return s
}

// Partial tells whether objects may be missing, because the events that recorded
// them are lost and no whole list has followed yet.
func (s *State) Partial() bool { return s.partial }

// Keep drops what content leaves out of all objects, now and from here on.
func (s *State) Keep(content Content) {
	s.content = content
	for _, byKey := range s.objects { //determinism: each object by itself
		for _, o := range byKey { //determinism: each object by itself
			o.keep(content)
		}
	}
	for _, k := range s.kept { //determinism: each by itself
		k.keep(content)
	}
}

func (o *Object) keep(content Content) {
	switch content {
	case Everything:
	case Values:
		o.raw, o.good = nil, nil
	case Bytes:
		o.Value = nil
	}
}

// Ready tells whether every resource that the present epoch follows is synced.
func (s *State) Ready() bool {
	if s.Epoch == 0 {
		return false
	}
	for _, resource := range s.Settings.Resources {
		if resource != events.EndpointSlices && !s.synced[resource] {
			return false
		}
	}
	return true
}

// Object is the object named key, or nil.
func (s *State) Object(key events.Key) *Object { return s.objects[key.Resource][key] }

// Objects are all objects of a resource, sorted by key.
func (s *State) Objects(resource string) []*Object {
	return slices.SortedFunc(maps.Values(s.objects[resource]), func(a, b *Object) int { return a.Key.Compare(b.Key) })
}

// Count is the number of objects of a resource.
func (s *State) Count(resource string) int { return len(s.objects[resource]) }

// Keys are the keys of all objects, sorted.
func (s *State) Keys() []events.Key {
	var keys []events.Key
	for _, resource := range slices.Sorted(maps.Keys(s.objects)) {
		keys = slices.AppendSeq(keys, maps.Keys(s.objects[resource]))
	}
	slices.SortFunc(keys, events.Key.Compare)
	return keys
}

// Verdict is Envoy's refusal of exactly this resource and digest, if there is one.
func (s *State) Verdict(key VerdictKey) (events.Verdict, bool) {
	v, ok := s.verdicts[key]
	return v, ok
}

// Get is the decoded object of a key, or nil where there is none that was ever
// good. T is the type of its kind, such as gatewayv1.HTTPRouteSpec.
func Get[T any](s *State, key events.Key) (*Object, *T) {
	o := s.Object(key)
	if o == nil {
		return nil, nil
	}
	if o.Value == nil {
		return nil, nil
	}
	v, ok := o.Value.(*T)
	if !ok {
		panic(fmt.Sprintf("fold: of %s a %T is kept, not a %T", key, o.Value, v))
	}
	return o, v
}

// Apply folds one event in and returns the keys that changed: objects,
// [events.EpochKey] when the settings did, and [events.SyncKey] when [State.Unlisted]
// did. On error the state is as before.
func (s *State) Apply(e events.Event) ([]events.Key, error) {
	if e.Sequence <= s.Version.Sequence {
		return nil, fmt.Errorf("%w: event %d (%s) after %d", ErrOrder, e.Sequence, e.Key, s.Version.Sequence)
	}
	changed, err := s.apply(e)
	if err != nil {
		return nil, fmt.Errorf("event %d (%s %s): %w", e.Sequence, e.Type, e.Key, err)
	}
	s.Version.Sequence, s.Time = e.Sequence, e.Time
	s.Chain = routing.DigestOf(s.Chain[:], []byte(e.ID), []byte(e.Type), []byte(e.Key.String()), []byte(e.Time.Format(time.RFC3339Nano)), e.Keyless())
	return changed, nil
}

func (s *State) apply(e events.Event) ([]events.Key, error) {
	switch e.Type {
	case events.ObjectApplied, events.ObjectBaseline:
		s.put(e)
		s.judge(e.Key, e.Sequence)
		return []events.Key{e.Key}, nil
	case events.ObjectDeleted:
		delete(s.objects[e.Key.Resource], e.Key)
		delete(s.reached, e.Key)
		delete(s.kept, e.Key)
		delete(s.coming, e.Key)
		s.judge(e.Key, e.Sequence)
		return []events.Key{e.Key}, nil
	case events.TypeEpoch:
		return s.openEpoch(e)
	case events.TypeSyncStart, events.TypeSyncDone:
		var sync events.Sync
		if err := json.Unmarshal(e.Data, &sync); err != nil {
			return nil, err
		}
		s.synced[sync.Resource] = e.Type == events.TypeSyncDone && (sync.Whole || !s.partial)
		s.partial = s.partial && !s.Ready()
		return s.setUnlisted(e, sync), nil
	case events.TypeVerdict:
		var v events.Verdict
		if err := json.Unmarshal(e.Data, &v); err != nil {
			return nil, err
		}
		s.addVerdict(v)
		return []events.Key{e.Key}, nil
	case events.TypeTime:
		return s.reach(e)
	case events.TypePinned:
		return s.keepRouting(e)
	default:
		return nil, fmt.Errorf("%w; use the release that wrote it, or a newer one", ErrUnknownType)
	}
}

// maxVerdicts bounds what is kept of refusals. A verdict that is dropped although
// its resource is still wanted comes back when Envoy refuses that again.
const maxVerdicts = 1000

func (s *State) addVerdict(v events.Verdict) {
	key := VerdictKey{v.Gateway, v.Type, v.Name, v.Digest}
	if _, known := s.verdicts[key]; !known {
		s.refused = append(s.refused, key)
	}
	s.verdicts[key] = v
	if len(s.refused) > maxVerdicts {
		delete(s.verdicts, s.refused[0])
		s.refused = s.refused[1:]
	}
}

func (s *State) openEpoch(e events.Event) ([]events.Key, error) {
	var opened events.EpochOpened
	if err := json.Unmarshal(e.Data, &opened); err != nil {
		return nil, err
	}
	s.Epoch = opened.Epoch
	clear(s.synced)
	changed := s.forgetUnlisted()
	if opened.Settings == nil || settingsEqual(s.Settings, *opened.Settings) {
		return changed, nil
	}
	s.Settings = *opened.Settings
	return append(changed, events.EpochKey(events.StreamEvents)), nil
}

func settingsEqual(a, b events.Settings) bool {
	return slices.Equal(a.Resources, b.Resources) && a.Provisioned == b.Provisioned && cmp.Or(
		cmp.Compare(a.ControllerName, b.ControllerName),
		cmp.Compare(a.ListenAddress, b.ListenAddress),
		cmp.Compare(a.RouteLayout, b.RouteLayout),
		cmp.Compare(a.Recipient, b.Recipient),
	) == 0
}

func (s *State) put(e events.Event) {
	byKey := s.objects[e.Key.Resource]
	if byKey == nil {
		byKey = map[events.Key]*Object{}
		s.objects[e.Key.Resource] = byKey
	}
	next := &Object{Key: e.Key, Sequence: e.Sequence, raw: e.Data}
	if err := next.decode(e.Data); err != nil {
		next.Problem = err.Error()
		if last := byKey[e.Key]; last != nil && (last.Value != nil || last.good != nil) {
			kept := *last
			kept.raw, kept.Sequence, kept.Problem = next.raw, next.Sequence, next.Problem
			next = &kept
		}
	} else {
		next.good = e.Data
	}
	next.Since = e.Sequence
	if last := byKey[e.Key]; last != nil && last.UID == next.UID && last.Generation == next.Generation {
		next.Since = last.Since
	}
	if e.Key.Resource == events.Gateways {
		next.enter(byKey[e.Key])
	}
	next.keep(s.content)
	byKey[e.Key] = next
	s.observe(e)
}
