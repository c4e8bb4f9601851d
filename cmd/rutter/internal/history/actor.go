package history

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

// Actor is who was seen asking the API server for a change.
type Actor struct {
	User   string   `json:"user,omitempty"`
	Groups []string `json:"groups,omitempty"`
	// RequestUID is that of the review of the request.
	RequestUID string `json:"requestUID,omitempty"`
	// AnyOf are several who asked for the same, of whom it was one; nothing tells which.
	// User, Groups and RequestUID are empty then.
	AnyOf []Actor `json:"anyOf,omitempty"`
	// Before are others who changed the object since it was recorded before, where several
	// changes are recorded as one; BeforeUnseen says that somebody did who was not seen.
	Before       []Actor `json:"before,omitempty"`
	BeforeUnseen bool    `json:"beforeUnseen,omitempty"`
}

// String is the user, or all who come into question.
func (a *Actor) String() string {
	out := a.User
	if len(a.AnyOf) > 0 {
		out = users(a.AnyOf, " or ")
	}
	before := users(a.Before, ", ")
	if a.BeforeUnseen { // ahead of all who were
		before = strings.TrimSuffix("somebody, "+before, ", ")
	}
	if before != "" {
		out = before + ", then " + out
	}
	return out
}

func users(list []Actor, separator string) string {
	var names []string
	for _, one := range list {
		names = append(names, one.User)
	}
	return strings.Join(names, separator)
}

// Who is who was seen asking for the change, and by which field manager, in short.
func (e *Entry) Who() string {
	seen := ""
	switch {
	case e.Actor != nil:
		seen = e.Actor.String()
	case e.NobodySeen:
		seen = "nobody seen"
	}
	switch {
	case seen != "" && e.By != "":
		return seen + " (" + e.By + ")"
	case seen == "" && e.By == "":
		return "-" // the log does not say who
	}
	return seen + e.By
}

// asked is what of a change tells which request it came from. Of two that ask for the
// same, one that changed nothing is told by the state that it met.
type asked struct {
	uid string
	// content is what the object became; "" for a deletion.
	content string
	// The request met a state of the object from the resourceVersion from on, and ahead
	// of to, to which it led.
	from, to uint64
	at       time.Time
	// object is what content is made of, and replaced what before is, once they are wanted.
	object, replaced map[string]any
	// before is what is recorded of the object before; "" for nothing.
	before string
	// seen are all who asked for something in that time.
	seen []request
}

// request is one that was seen.
type request struct {
	*events.ActorObserved
	version uint64
	at      time.Time
}

// Nearby is how far a request and its change may be apart, by the clocks of whoever
// saw them.
const Nearby = time.Minute

// askedFor is what tells who asked that an object became next; before is nil where it
// was not recorded.
func askedFor(e events.Event, before, next map[string]any) *asked {
	out := &asked{uid: text(next, "uid"), to: versionOf(text(next, "resourceVersion")), at: e.Time}
	if before != nil && text(before, "uid") == out.uid {
		out.from = versionOf(text(before, "resourceVersion"))
		if text(before, "deletionTimestamp") == "" && text(next, "deletionTimestamp") != "" {
			return out // which only a deletion does, that finalizers put off
		}
	}
	out.object = next
	if out.from > 0 {
		out.replaced = before
	}
	return out
}

// settle finds out the contents.
func (a *asked) settle() {
	if a == nil || a.object == nil {
		return
	}
	a.content = contentOf(a.object)
	if a.replaced != nil {
		a.before = contentOf(a.replaced)
	}
	a.object, a.replaced = nil, nil
}

func contentOf(object map[string]any) string {
	content, err := events.Content(object)
	if err != nil { // it came from JSON
		panic(fmt.Sprintf("history: %v", err))
	}
	return hex.EncodeToString(content[:])
}

// deletion tells whether it is a deletion that was asked for.
func (a *asked) deletion() bool { return a.content == "" && a.object == nil }

// askedToDelete is what tells who asked for a deletion; before is nil where nothing of
// the object was recorded.
func askedToDelete(e events.Event, before map[string]any) *asked {
	var gone map[string]any
	if json.Unmarshal(e.Data, &gone) != nil {
		return nil
	}
	out := &asked{uid: text(gone, "uid"), to: versionOf(text(gone, "resourceVersion")), at: e.Time}
	if before != nil && text(before, "uid") == out.uid {
		out.from = versionOf(text(before, "resourceVersion"))
	}
	return out
}

func text(object map[string]any, field string) string {
	s, _ := metadata(object)[field].(string)
	return s
}

// versionOf is a resourceVersion as a number; 0 for none.
func versionOf(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// AddActors finds, for each of entries in the order of the log, who was seen asking for it.
func (h *History) AddActors(ctx context.Context, entries []*Entry) error {
	if h.actors == nil {
		return nil
	}
	info, err := h.actors.Info(ctx)
	if err != nil {
		return fmt.Errorf("read ACTORS: %w", err)
	}
	if info.Last == 0 {
		return nil // nobody ever looked
	}
	a := actors{}
	first := time.Time{}
	for _, e := range entries {
		if a.want(e) && (first.IsZero() || e.asked.at.Before(first)) {
			first = e.asked.at
		}
	}
	if len(a) == 0 {
		return nil
	}
	from, err := h.firstStored(ctx, first.Add(-Nearby), info)
	if err != nil {
		return err
	}
	reader := h.actors.Reader(from)
	defer reader.Close()
	for at := from - 1; at < info.Last; {
		messages, err := reader.Next(ctx)
		if errors.Is(err, events.ErrGap) { // the oldest are dropped meanwhile
			reader.Close()
			reader = h.actors.Reader(0)
			continue
		}
		if err != nil {
			return fmt.Errorf("read ACTORS: %w", err)
		}
		for _, m := range messages {
			at = m.Sequence
			if err := a.takeMessage(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstStored is the first message of ACTORS that was stored at t or later.
func (h *History) firstStored(ctx context.Context, t time.Time, info events.StreamInfo) (uint64, error) {
	first, end := info.First, info.Last+1
	for first < end {
		middle := first + (end-first)/2
		m, err := h.actors.Get(ctx, middle)
		switch {
		case errors.Is(err, events.ErrNotFound): // dropped meanwhile
			first = middle + 1
		case err != nil:
			return 0, fmt.Errorf("find %s in ACTORS: %w", t.Format(time.RFC3339), err)
		case m.Stored.Before(t):
			first = middle + 1
		default:
			end = middle
		}
	}
	return first, nil
}

// actors joins who was seen to the entries that ask for it, by uid and in the order of
// the log.
type actors map[string][]*Entry

// want tells whether an entry is a change that somebody asked for. Until somebody is
// found it says that nobody was seen. Entries of one object are kept in the order of the
// states that they led to; a deletion that was put off stands where it was asked for.
func (a actors) want(e *Entry) bool {
	if e.asked == nil || e.asked.uid == "" {
		return false
	}
	e.NobodySeen = e.Actor == nil
	all := a[e.asked.uid]
	at, _ := slices.BinarySearchFunc(all, e.asked.to, ledBeyond)
	a[e.asked.uid] = slices.Insert(all, at, e)
	return true
}

// ledBeyond orders entries before and after those that led beyond a resourceVersion.
func ledBeyond(e *Entry, version uint64) int {
	if e.asked.to <= version {
		return -1
	}
	return 1
}

// forget is the opposite of want.
func (a actors) forget(e *Entry) {
	if e.asked == nil {
		return
	}
	left := slices.DeleteFunc(a[e.asked.uid], func(other *Entry) bool { return other == e })
	if a[e.asked.uid] = left; len(left) == 0 {
		delete(a, e.asked.uid)
	}
}

// takeMessage joins what a message of ACTORS says.
func (a actors) takeMessage(m events.Message) error {
	seen, at, err := decodeActor(m)
	if err != nil {
		return err
	}
	a.take(seen, at)
	return nil
}

func decodeActor(m events.Message) (*events.ActorObserved, time.Time, error) {
	e, err := events.Decode(m)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read ACTORS: %w", err)
	}
	seen := &events.ActorObserved{}
	if err := json.Unmarshal(e.Data, seen); err != nil {
		return nil, time.Time{}, fmt.Errorf("read ACTORS: message %d: %w", m.Sequence, err)
	}
	return seen, e.Time, nil
}

// take joins one who was seen to the entries that he may have asked for: between two
// states of an object, and not too far off.
func (a actors) take(seen *events.ActorObserved, at time.Time) {
	if seen.DryRun {
		return
	}
	entries := a[seen.UID]
	r := request{seen, versionOf(seen.ResourceVersion), at}
	first, _ := slices.BinarySearchFunc(entries, r.version, ledBeyond)
	for _, e := range entries[first:] {
		if e.asked.from > r.version {
			return
		}
		if at.Sub(e.asked.at).Abs() <= Nearby {
			e.asked.seen = append(e.asked.seen, r)
			e.Actor = e.asked.actor()
			e.NobodySeen = e.Actor == nil
		}
	}
}

// actor is who asked for the change; nil for nobody that was seen.
func (a *asked) actor() *Actor {
	deletion := a.deletion()
	last := a.those(func(r request) bool { return r.Content == a.content && (r.Operation == "DELETE") == deletion })
	if len(last) == 0 {
		return nil
	}
	out := &Actor{AnyOf: actorsOf(last)}
	if len(out.AnyOf) == 1 {
		*out = out.AnyOf[0]
	}
	if !deletion {
		a.addBefore(out, last)
	}
	return out
}

// addBefore goes back from the last requests to what was recorded before, from each
// content to who asked for it.
func (a *asked) addBefore(out *Actor, last []request) {
	var before []request
	for at := last[len(last)-1]; at.Before != a.before && at.Before != ""; {
		led := a.those(func(r request) bool { return r.Content == at.Before && r.version < at.version })
		if len(led) == 0 {
			out.BeforeUnseen = a.before != ""
			break
		}
		before = append(led, before...)
		at = led[len(led)-1]
	}
	for _, one := range actorsOf(before) {
		if one.User != out.User && !slices.ContainsFunc(out.AnyOf, func(other Actor) bool { return other.User == one.User }) {
			out.Before = append(out.Before, one)
		}
	}
}

// those are the requests that are so, by the states that they met.
func (a *asked) those(are func(request) bool) []request {
	var out []request
	for _, r := range a.seen {
		if are(r) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(x, y request) int { return cmp.Or(cmp.Compare(x.version, y.version), x.at.Compare(y.at)) })
	return out
}

// actorsOf are the users of requests, by name. The last request of each counts: those
// before it met a conflict and were made again.
func actorsOf(requests []request) []Actor {
	last := map[string]Actor{}
	for _, r := range requests {
		last[r.User] = Actor{User: r.User, Groups: r.Groups, RequestUID: r.RequestUID}
	}
	var out []Actor
	for _, user := range slices.Sorted(maps.Keys(last)) {
		out = append(out, last[user])
	}
	return out
}
