// Package record turns objects in force into events.
//
//	object ──(mint identity, compare with the index)──► event, or nothing
//
// It promises that an object which says what is recorded already gives no event
// (or, where the index asks to record it again, a baseline), and that identity is given out as the API server would: a uid per creation, a
// resourceVersion per change, a generation per change of what is specified. It
// refuses Secrets and ConfigMaps that nothing refers to: they are held back until
// something does.
package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
)

// Recorder makes events of one cluster. Use it from one goroutine.
type Recorder struct {
	Cluster string
	Sealer  *keypair.Sealer
	Now     func() time.Time
	// Events and Endpoints are what the two streams hold.
	Events, Endpoints *index.Index

	held map[events.Key]manifests.Object // what nothing refers to
	last uint64                          // the last resourceVersion given out
}

// Batch is the events of one batch of changes, in the order in which they are to
// be recorded: endpoints before the routes that need them, and after those that no
// longer do.
type Batch struct {
	EndpointsApplied, Events, EndpointsDeleted []events.Event
}

// Batch makes the events for changes. Nothing counts as recorded before the
// index has seen it in the log.
func (r *Recorder) Batch(c manifests.Changes) (Batch, error) {
	var b Batch
	r.last = max(r.last, r.Events.ResourceVersion, r.Endpoints.ResourceVersion)
	wanted, err := r.wanted(c)
	if err != nil {
		return Batch{}, err
	}
	for _, o := range append(r.released(wanted), c.Applied...) {
		if needsReferrer(o.Key) && !wanted[o.Key] && r.Events.Entries[o.Key] == nil {
			r.hold(o)
			continue
		}
		e, changed, err := r.applied(o)
		switch {
		case err != nil:
			return Batch{}, err
		case !changed:
		case o.Key.Resource == events.EndpointSlices:
			b.EndpointsApplied = append(b.EndpointsApplied, e)
		default:
			b.Events = append(b.Events, e)
		}
	}
	for _, key := range c.Deleted {
		delete(r.held, key)
		e, ok, err := r.deleted(key)
		switch {
		case err != nil:
			return Batch{}, err
		case !ok:
		case key.Resource == events.EndpointSlices:
			b.EndpointsDeleted = append(b.EndpointsDeleted, e)
		default:
			b.Events = append(b.Events, e)
		}
	}
	return b, nil
}

// needsReferrer tells whether an object is recorded only once something refers to it.
func needsReferrer(key events.Key) bool {
	return key.Resource == events.Secrets || key.Resource == events.ConfigMaps
}

// wanted are the Secrets that Gateways refer to, those of c included. Where c has
// neither Gateways nor what needs a referrer, nobody asks, and it is not looked for.
func (r *Recorder) wanted(c manifests.Changes) (map[events.Key]bool, error) {
	if !slices.ContainsFunc(c.Applied, func(o manifests.Object) bool {
		return o.Key.Resource == events.Gateways || needsReferrer(o.Key)
	}) {
		return nil, nil
	}
	wanted := map[events.Key]bool{}
	for _, e := range r.Events.Entries {
		for _, key := range e.Secrets {
			wanted[key] = true
		}
	}
	for _, o := range c.Applied {
		if o.Key.Resource != events.Gateways {
			continue
		}
		var gw gatewayv1.Gateway
		data, err := normalize.JSON(o.Object)
		if err == nil {
			err = json.Unmarshal(data, &gw)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", o.Key, err)
		}
		for _, key := range index.Secrets(&gw) {
			wanted[key] = true
		}
	}
	return wanted, nil
}

func (r *Recorder) hold(o manifests.Object) {
	if r.held == nil {
		r.held = map[events.Key]manifests.Object{}
	}
	r.held[o.Key] = o
}

// released are the held objects that something refers to by now, ahead of their
// first referrer.
func (r *Recorder) released(wanted map[events.Key]bool) []manifests.Object {
	var out []manifests.Object
	for _, key := range slices.SortedFunc(maps.Keys(r.held), events.Key.Compare) {
		if wanted[key] {
			out = append(out, r.held[key])
			delete(r.held, key)
		}
	}
	return out
}

func (r *Recorder) applied(o manifests.Object) (events.Event, bool, error) {
	known := r.index(o.Key).Entries[o.Key]
	object, hash, err := r.form(o)
	if err != nil {
		return events.Event{}, false, fmt.Errorf("record %s: %w", o.Key, err)
	}
	kind := events.ObjectApplied
	if known != nil && known.Hash == hash && known.File == o.Source.File {
		if !known.Again {
			return events.Event{}, false, nil
		}
		kind = events.ObjectBaseline
	}
	specHash, err := index.SpecHash(o.Key.Resource, object)
	if err != nil {
		return events.Event{}, false, fmt.Errorf("record %s: %w", o.Key, err)
	}
	now := r.Now().UTC()
	entry := index.Entry{UID: string(uuid.NewUUID()), Created: now.Format(time.RFC3339), SpecHash: specHash}
	if specHash != (routing.Digest{}) {
		entry.Generation = 1
	}
	if known != nil {
		entry.UID, entry.Created, entry.Generation = known.UID, known.Created, known.Generation
		if known.SpecHash != specHash {
			entry.Generation++
		}
	}
	version := r.nextVersion()
	mint(object, entry, version, o.Source.File)
	data, err := normalize.JSON(object)
	if err != nil {
		return events.Event{}, false, fmt.Errorf("record %s: %w", o.Key, err)
	}
	return events.Event{
		ID: entry.UID + "/" + version, Type: kind, Cluster: r.Cluster, Key: o.Key, Time: now, Data: data,
	}, true, nil
}

// form is what is recorded of an object, and the hash to compare.
func (r *Recorder) form(o manifests.Object) (map[string]any, routing.Digest, error) {
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

// mint writes the identity into an object that is recorded.
func mint(object map[string]any, e index.Entry, version, file string) {
	metadata, _ := object["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	metadata["uid"], metadata["resourceVersion"], metadata["creationTimestamp"] = e.UID, version, e.Created
	if e.Generation > 0 {
		metadata["generation"] = e.Generation
	}
	if file != "" {
		annotations, _ := metadata["annotations"].(map[string]any)
		annotations = maps.Clone(annotations)
		if annotations == nil {
			annotations = map[string]any{}
		}
		annotations[index.SourceAnnotation] = file
		metadata["annotations"] = annotations
	}
	object["metadata"] = metadata
}

func (r *Recorder) deleted(key events.Key) (events.Event, bool, error) {
	known := r.index(key).Entries[key]
	if known == nil {
		return events.Event{}, false, nil
	}
	version := r.nextVersion()
	metadata := map[string]any{"name": key.Name, "uid": known.UID, "resourceVersion": version}
	if key.Namespace != "" {
		metadata["namespace"] = key.Namespace
	}
	data, err := normalize.JSON(map[string]any{"metadata": metadata})
	if err != nil {
		return events.Event{}, false, fmt.Errorf("record the deletion of %s: %w", key, err)
	}
	return events.Event{
		ID: known.UID + "/" + version, Type: events.ObjectDeleted, Cluster: r.Cluster, Key: key, Time: r.Now().UTC(), Data: data,
	}, true, nil
}

// Baseline records an object again exactly as it was.
func (r *Recorder) Baseline(key events.Key, e *index.Entry, payload []byte) events.Event {
	return events.Event{
		ID: e.UID + "/" + e.ResourceVersion, Type: events.ObjectBaseline, Cluster: r.Cluster, Key: key, Time: r.Now().UTC(), Data: payload,
	}
}

func (r *Recorder) index(key events.Key) *index.Index {
	if key.Resource == events.EndpointSlices {
		return r.Endpoints
	}
	return r.Events
}

func (r *Recorder) nextVersion() string {
	r.last++
	return strconv.FormatUint(r.last, 10)
}
