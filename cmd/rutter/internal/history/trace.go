package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Trace is the way of one change from the API server to the Envoys. What the log does
// not tell is nil, and Unknown says so.
type Trace struct {
	*Entry
	// Written is when its field manager wrote it, to the second, by the API server's clock.
	Written *time.Time `json:"written,omitempty"`
	// Recorded is when the log took it; when it was observed is Entry.Time.
	Recorded time.Time `json:"recorded"`
	// Published is the first version that includes it, At when the log took that.
	Published   string     `json:"published,omitempty"`
	PublishedAt *time.Time `json:"publishedAt,omitempty"`
	// Envoys are those of the Gateways that the version changed, by what the xDS servers
	// reported.
	Envoys  []TracedEnvoy `json:"envoys"`
	Unknown []string      `json:"unknown,omitempty"`
}

// TracedEnvoy is one Envoy.
type TracedEnvoy struct {
	Server  string `json:"server"`
	Node    string `json:"node"`
	Gateway string `json:"gateway"`
	// Held is when it had acknowledged the version, or a later one; nil for not yet.
	Held *time.Time `json:"held,omitempty"`
	// Later is the version that it held then, where it is a later one.
	Later string `json:"later,omitempty"`
	// Joined is set where it connected only after the version was published.
	Joined bool `json:"joined,omitempty"`
	// Refused are the resources of the version that it rejected, with its words.
	Refused []string `json:"refused,omitempty"`
}

// Trace follows the change at a sequence of EVENTS, or for 0 the newest one of the object.
func (h *History) Trace(ctx context.Context, key events.Key, sequence uint64) (*Trace, error) {
	e, err := h.changeOf(ctx, key, sequence)
	if err != nil {
		return nil, err
	}
	t := &Trace{Recorded: e.stored.UTC(), Envoys: []TracedEnvoy{}}
	t.Entry = newJournal(Query{All: true}).add(e.Event)
	if err := h.AddActors(ctx, []*Entry{t.Entry}); err != nil {
		return nil, err
	}
	if t.Change == "created" {
		t.Change = "applied"
	}
	if written, ok := writtenAt(e.Event); ok {
		t.Written = &written
	} else {
		t.unknown("when it was written: the object does not say")
	}
	snapshot, at, err := h.publishedWith(ctx, e.Sequence)
	switch {
	case err != nil:
		return nil, err
	case snapshot == nil:
		t.unknown("which version it led to: there is none that names it, so it changed nothing, is not folded yet, or the version is no longer kept")
		return t, nil
	}
	at = at.UTC()
	t.Published, t.PublishedAt = snapshot.Version.String(), &at
	if len(snapshot.Gateways) == 0 {
		t.unknown("any Envoy: the version changed conditions alone")
	} else if err := t.follow(ctx, h, snapshot, at); err != nil {
		return nil, err
	}
	t.unknown("when the status was written: the log does not record it")
	return t, nil
}

func (t *Trace) unknown(what string) { t.Unknown = append(t.Unknown, what) }

type storedEvent struct {
	events.Event
	stored time.Time
}

// changeOf is the event at a sequence, which has to be about the object, or the newest
// one that changed the object.
func (h *History) changeOf(ctx context.Context, key events.Key, sequence uint64) (storedEvent, error) {
	get := func(m events.Message, err error) (storedEvent, error) {
		if err != nil {
			return storedEvent{}, err
		}
		e, err := decode(m)
		return storedEvent{e, m.Stored}, err
	}
	info, err := h.events.Info(ctx)
	if err != nil {
		return storedEvent{}, fmt.Errorf("read EVENTS: %w", err)
	}
	if sequence > 0 {
		if sequence < info.First || sequence > info.Last {
			return storedEvent{}, fmt.Errorf("there is no change %d in the log: it has %d to %d", sequence, info.First, info.Last)
		}
		e, err := get(h.events.Get(ctx, sequence))
		if err == nil && e.Key != key {
			err = fmt.Errorf("the change %d is about %s, and not about %s", sequence, Object(e.Key), Object(key))
		}
		return e, err
	}
	newest, err := get(h.events.Get(ctx, info.Last))
	if err != nil {
		return storedEvent{}, err
	}
	e, err := get(h.events.Last(ctx, events.Subject(newest.Cluster, key)))
	switch {
	case err == nil && isChange(e.Type):
		return e, nil
	case err != nil && !errors.Is(err, events.ErrNotFound):
		return storedEvent{}, err
	}
	found := uint64(0) // what is newest is no change
	if err == nil {
		if err := h.read(ctx, 0, e.Sequence, func(e events.Event) {
			if e.Key == key && isChange(e.Type) {
				found = e.Sequence
			}
		}); err != nil {
			return storedEvent{}, err
		}
	}
	if found == 0 {
		return storedEvent{}, fmt.Errorf("no change of %s is in the log: `rutter log` lists what there is", Object(key))
	}
	return get(h.events.Get(ctx, found))
}

func isChange(t events.Type) bool { return t == events.ObjectApplied || t == events.ObjectDeleted }

// writtenAt is when the field manager that wrote last did so.
func writtenAt(e events.Event) (time.Time, bool) {
	if e.Type != events.ObjectApplied {
		return time.Time{}, false
	}
	var form map[string]any
	if json.Unmarshal(e.Data, &form) != nil {
		return time.Time{}, false
	}
	fields, _ := metadata(form)["managedFields"].([]any)
	latest := ""
	for _, f := range fields {
		entry, _ := f.(map[string]any)
		if at, _ := entry["time"].(string); at > latest && entry["subresource"] == nil {
			latest = at
		}
	}
	at, err := time.Parse(time.RFC3339, latest)
	return at.UTC(), err == nil
}

// publishedWith is the version that an event caused, and when the log took it; nil
// where none names it.
func (h *History) publishedWith(ctx context.Context, sequence uint64) (*routing.Snapshot, time.Time, error) {
	info, err := h.events.Info(ctx)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read EVENTS: %w", err)
	}
	snapshots, err := h.snapshots.Info(ctx)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read SNAPSHOTS: %w", err)
	}
	position, err := routing.PositionAt(ctx, h.snapshots, events.Version{Incarnation: info.Incarnation, Sequence: sequence - 1})
	if err != nil || position >= snapshots.Last {
		return nil, time.Time{}, err
	}
	follower := routing.FollowFrom(h.snapshots, events.Version{Incarnation: snapshots.Incarnation, Sequence: max(position, snapshots.First-1)})
	defer follower.Close()
	batch, err := follower.NextUntil(ctx, snapshots.Last)
	if err != nil || len(batch) == 0 || !slices.Contains(batch[0].Causes, sequence) {
		return nil, time.Time{}, err
	}
	// The last message of the version makes it.
	end, err := routing.PositionAt(ctx, h.snapshots, batch[0].Version)
	if err != nil {
		return nil, time.Time{}, err
	}
	m, err := h.snapshots.Get(ctx, min(end, snapshots.Last))
	return batch[0], m.Stored, err
}

// follow finds out which Envoys have acknowledged, or refused, a version.
func (t *Trace) follow(ctx context.Context, h *History, s *routing.Snapshot, published time.Time) error {
	if h.receipts == nil {
		t.unknown("what Envoys hold: nobody ever reported")
		return nil
	}
	gateways, changed := map[string]bool{}, map[routing.ResourceName]routing.Digest{}
	for _, g := range s.Gateways {
		gateways[g.Gateway] = true
		for _, r := range g.Changed {
			changed[r.ResourceName] = r.Digest
		}
	}
	info, err := h.receipts.Info(ctx)
	if err != nil {
		return fmt.Errorf("read RECEIPTS: %w", err)
	}
	first, err := firstStored(ctx, h.receipts, info, published)
	if err != nil {
		return fmt.Errorf("read RECEIPTS: %w", err)
	}
	reader := h.receipts.Reader(first)
	defer reader.Close()
	envoys := map[string]*TracedEnvoy{}
	settled := false // all that were there hold it, and who comes later is no news
	for at := first - 1; at < info.Last && !settled; {
		messages, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("read RECEIPTS: %w", err)
		}
		for _, m := range messages {
			at = m.Sequence
			if settled = m.Stored.Sub(published) > settledAfter && allHold(envoys); settled {
				break
			}
			receipt, err := routing.DecodeReceipt(m)
			if err != nil {
				return fmt.Errorf("read RECEIPTS: %w", err)
			}
			for _, e := range receipt.Envoys {
				if gateways[e.Gateway] {
					envoy := envoys[receipt.Server+" "+e.Node]
					if envoy == nil {
						envoy = &TracedEnvoy{Server: receipt.Server, Node: e.Node, Gateway: e.Gateway, Joined: e.Connected.After(published)}
						envoys[receipt.Server+" "+e.Node] = envoy
					}
					envoy.take(e, s.Version, changed)
				}
			}
		}
	}
	for _, e := range envoys {
		t.Envoys = append(t.Envoys, *e)
	}
	slices.SortFunc(t.Envoys, func(a, b TracedEnvoy) int { return strings.Compare(a.Server+" "+a.Node, b.Server+" "+b.Node) })
	switch {
	case first == info.First && first > 1:
		t.unknown("which Envoys held it first: the reports of that time are no longer kept")
	case len(t.Envoys) == 0:
		t.unknown("any Envoy: none of these Gateways has reported since")
	}
	return nil
}

// settledAfter is how long after a version it is looked for Envoys that report.
const settledAfter = time.Minute

func allHold(envoys map[string]*TracedEnvoy) bool {
	for _, e := range envoys {
		if e.Held == nil {
			return false
		}
	}
	return len(envoys) > 0
}

// firstStored is the sequence of the first message that was not stored before a time.
func firstStored(ctx context.Context, stream events.Stream, info events.StreamInfo, t time.Time) (uint64, error) {
	first, end := info.First, info.Last+1 // all before first were, none from end on
	for first < end {
		middle := first + (end-first)/2
		m, err := stream.Get(ctx, middle)
		if err != nil {
			return 0, err
		}
		if m.Stored.Before(t) {
			first = middle + 1
		} else {
			end = middle
		}
	}
	return first, nil
}

func (e *TracedEnvoy) take(r routing.EnvoyReceipt, v events.Version, changed map[routing.ResourceName]routing.Digest) {
	if e.Held == nil && r.Held.Incarnation == v.Incarnation && r.Held.Sequence >= v.Sequence {
		at := r.HeldAt.UTC()
		e.Held = &at
		if r.Held != v {
			e.Later = r.Held.String()
		}
	}
	for _, refused := range r.Refused {
		text := refused.Name + ": " + refused.Reason
		if digest, ok := changed[refused.ResourceName]; ok && digest == refused.Digest && !slices.Contains(e.Refused, text) {
			e.Refused = append(e.Refused, text)
		}
	}
}
