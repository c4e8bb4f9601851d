// Package record turns objects in force into events.
//
//	object ──(mint identity, compare with the index)──► event, or nothing
//
// It promises that an object which says what is recorded already gives no event
// (or, where the index asks to record it again, a baseline); that an object which
// comes with its identity keeps it; and that to any other identity is given out as
// the API server would: a uid per creation, a resourceVersion per change, a
// generation per change of what is specified. It refuses Secrets, ConfigMaps and
// ClusterTrustBundles that nothing refers to: they are held back until something does, and are then
// recorded directly ahead of it.
package record

import (
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// Recorder makes events of one cluster. Use it from one goroutine.
type Recorder struct {
	Cluster string
	Sealer  *keypair.Sealer
	Now     func() time.Time
	// Events and Endpoints are what the two streams hold.
	Events, Endpoints *index.Index

	// Dropped is told of each object that gives no event, and why; nil is nobody.
	Dropped func(resource, reason string)

	held map[events.Key]observed.Object // what nothing refers to
	last uint64                         // the last resourceVersion given out
}

// Why an object gives no event.
const (
	Unchanged    = "unchanged"
	Unreferenced = "unreferenced"
)

// Batch is the events of one batch of changes, in the order in which they are to
// be recorded: endpoints before the routes that need them, and after those that no
// longer do.
type Batch struct {
	EndpointsApplied, Events, EndpointsDeleted []events.Event
}

// Batch makes the events for changes, which name each object at most once. Nothing
// counts as recorded before the index has seen it in the log.
func (r *Recorder) Batch(c observed.Changes) (Batch, error) {
	var b Batch
	r.last = max(r.last, r.Events.ResourceVersion, r.Endpoints.ResourceVersion)
	refs, err := referrers(c)
	if err != nil {
		return Batch{}, err
	}
	wanted := r.wanted(c, refs)
	first := map[events.Key]events.Event{} // Secrets that wait for their first referrer
	for _, o := range append(r.released(wanted), c.Applied...) {
		if needsReferrer(o.Key) && !wanted[o.Key] && r.Events.Entries[o.Key] == nil {
			r.hold(o)
			r.drop(o.Key, Unreferenced)
			continue
		}
		e, changed, err := r.applied(o)
		switch {
		case err != nil:
			return Batch{}, err
		case !changed:
			r.drop(o.Key, Unchanged)
		case o.Key.Resource == events.EndpointSlices:
			b.EndpointsApplied = append(b.EndpointsApplied, e)
		case needsReferrer(o.Key) && r.Events.Entries[o.Key] == nil:
			first[o.Key] = e
		default:
			b.Events = append(b.Events, e)
		}
	}
	b.Events = withFirst(b.Events, first, refs)
	for _, gone := range c.Deleted {
		delete(r.held, gone.Key)
		e, ok, err := r.deleted(gone)
		switch {
		case err != nil:
			return Batch{}, err
		case !ok:
			r.drop(gone.Key, Unchanged)
		case gone.Key.Resource == events.EndpointSlices:
			b.EndpointsDeleted = append(b.EndpointsDeleted, e)
		default:
			b.Events = append(b.Events, e)
		}
	}
	return b, nil
}

func (r *Recorder) drop(key events.Key, reason string) {
	if r.Dropped != nil {
		r.Dropped(key.Resource, reason)
	}
}

func (r *Recorder) applied(o observed.Object) (events.Event, bool, error) {
	known := r.index(o.Key).Entries[o.Key]
	object, hash, err := r.form(o)
	if err != nil {
		return events.Event{}, false, fmt.Errorf("record %s: %w", o.Key, err)
	}
	given := identityOf(object)
	kind := events.ObjectApplied
	if known != nil && known.Hash == hash && known.File == o.File && (given == identity{} || given.same(known)) {
		if !known.Again {
			return events.Event{}, false, nil
		}
		kind = events.ObjectBaseline
	}
	now := r.Now().UTC()
	if (given == identity{}) {
		if given, err = r.mint(o, object, known, now); err != nil {
			return events.Event{}, false, fmt.Errorf("record %s: %w", o.Key, err)
		}
	}
	data, err := normalize.JSON(object)
	if err != nil {
		return events.Event{}, false, fmt.Errorf("record %s: %w", o.Key, err)
	}
	return events.Event{
		ID: given.uid + "/" + given.version, Type: kind, Cluster: r.Cluster, Key: o.Key, Time: now, Data: data,
	}, true, nil
}

// form is what is recorded of an object, and the hash to compare.
func (r *Recorder) form(o observed.Object) (map[string]any, routing.Digest, error) {
	object := normalize.Object(o.Key.Resource, o.Object)
	if o.Key.Resource != events.Secrets {
		return object, o.Hash, nil
	}
	secret, err := r.Sealer.Secret(o.Object)
	if err != nil {
		return nil, routing.Digest{}, err
	}
	hash, err := keypair.Hash(secret)
	if err != nil {
		return nil, routing.Digest{}, err
	}
	data, err := json.Marshal(secret)
	if err != nil {
		return nil, routing.Digest{}, err
	}
	object = map[string]any{}
	return object, hash, json.Unmarshal(data, &object)
}

// Baseline records an object again exactly as it was.
func (r *Recorder) Baseline(key events.Key, e *index.Entry, payload []byte) events.Event {
	return events.Event{
		ID: e.UID + "/" + e.ResourceVersion, Type: events.ObjectBaseline, Cluster: r.Cluster, Key: key, Time: r.Now().UTC(), Data: payload,
	}
}

// Known is what is recorded of an object; nil for nothing.
func (r *Recorder) Known(key events.Key) *index.Entry { return r.index(key).Entries[key] }

// Keys are the recorded objects of a resource, in no order.
func (r *Recorder) Keys(resource string) iter.Seq2[events.Key, *index.Entry] {
	return func(yield func(events.Key, *index.Entry) bool) {
		for key, e := range r.index(events.Key{Resource: resource}).Entries {
			if key.Resource == resource && !yield(key, e) {
				return
			}
		}
	}
}

func (r *Recorder) index(key events.Key) *index.Index {
	if key.Resource == events.EndpointSlices {
		return r.Endpoints
	}
	return r.Events
}
