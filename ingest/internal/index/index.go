// Package index is what ingest knows to be recorded, folded from the log itself
// and never from "the last message per subject", which retention removes.
//
//	events of a stream ──Apply──► Index: object → uid, resourceVersion, generation, content hash, source
//
// It promises that folding the whole stream, or a checkpoint and the tail after
// it, gives the same index. It holds no object contents, except those of
// GatewayClasses, whose schema has rules about updates. The contents of
// EndpointSlices, which are recorded again before retention removes them, are read
// from the stream; a checkpoint has them too, for a start after retention.
//
// Read index.go first, then checkpoint.go and payload.go.
package index

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
)

// SourceAnnotation carries the file, below the directory of manifests, that an
// object came from.
const SourceAnnotation = "rutter.dev/manifest"

// Entry is what is known of one recorded object.
type Entry struct {
	// Sequence is that of the event that recorded it last.
	Sequence        uint64 `json:"sequence"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
	Generation      int64  `json:"generation,omitempty"`
	Created         string `json:"created"`
	// Hash is over the content, SpecHash over what the generation counts.
	Hash     routing.Digest `json:"hash"`
	SpecHash routing.Digest `json:"specHash,omitzero"`
	File     string         `json:"file,omitempty"`
	// References are the objects that it refers to; see [References].
	References []events.Key `json:"secrets,omitempty"`
	// Object is kept for GatewayClasses only.
	Object map[string]any `json:"object,omitempty"`
	// Payload is that of an EndpointSlice which the stream no longer holds; in a
	// checkpoint, of each.
	Payload json.RawMessage `json:"payload,omitempty"`
	// Recipient is to whom the key of a Secret is sealed.
	Recipient string `json:"recipient,omitempty"`
	// Moments are those on which the object depends and that have not come yet, as far
	// as the log says.
	Moments []time.Time `json:"moments,omitempty"`
	// Pin is what a RoutingPin asks for.
	Pin *Pin `json:"pin,omitempty"`
	// Again asks to record the object again even where it says the same.
	Again bool `json:"again,omitempty"`
}

// Mark is a place in a stream.
type Mark struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
}

// Index is the recorded objects of one stream.
type Index struct {
	// Position is the last message folded in.
	Position events.Version
	// ResourceVersion is the highest that was ever given out.
	ResourceVersion uint64
	Entries         map[events.Key]*Entry
	// Begun is where the last list of the EndpointSlices begins, Whole where the
	// last complete one does: from there on the stream holds each that exists.
	Begun, Whole Mark
	// Recipient is that of the present epoch, ClusterUID the cluster that is recorded.
	Recipient, ClusterUID string
	// Listed are the resources of which a list was ever completed.
	Listed map[string]bool

	schedule schedule
	asking   map[events.Key]struct{} // RoutingPins, see Asked
}

// New is the index before the first message.
func New(incarnation string) *Index {
	return &Index{Position: events.Version{Incarnation: incarnation}, Entries: map[events.Key]*Entry{}, Listed: map[string]bool{}}
}

// Unrecorded tells for each of resources whether a list of all its objects records
// every one of them, because none is known, or all are to be recorded again.
func (x *Index) Unrecorded(resources []string) map[string]bool {
	out := make(map[string]bool, len(resources))
	for _, resource := range resources {
		out[resource] = true
	}
	for key, e := range x.Entries {
		out[key.Resource] = out[key.Resource] && e.Again
	}
	return out
}

// Apply folds one event in.
func (x *Index) Apply(e events.Event) error {
	x.Position.Sequence = e.Sequence
	switch e.Type {
	case events.ObjectApplied, events.ObjectBaseline, events.ObjectDeleted:
		return x.applyObject(e)
	case events.TypeEpoch:
		return x.openEpoch(e)
	case events.TypeTime:
		return x.reach(e)
	case events.TypePinned:
		return x.keepRouting(e)
	case events.TypeSyncStart:
		if e.Key == events.SyncKey(events.EndpointSlices) {
			x.Begun = Mark{Sequence: e.Sequence, Time: e.Time}
		}
	case events.TypeSyncDone:
		var sync events.Sync
		if err := json.Unmarshal(e.Data, &sync); err != nil {
			return fmt.Errorf("index event %d (%s): %w", e.Sequence, e.Key, err)
		}
		x.Listed[sync.Resource] = true
		if e.Key == events.SyncKey(events.EndpointSlices) {
			x.Whole = x.Begun
		}
	}
	return nil
}

func (x *Index) openEpoch(e events.Event) error {
	var opened events.EpochOpened
	if err := json.Unmarshal(e.Data, &opened); err != nil {
		return fmt.Errorf("index event %d (%s): %w", e.Sequence, e.Key, err)
	}
	if opened.Settings != nil {
		x.Recipient = opened.Settings.Recipient
	}
	if opened.ClusterUID != "" {
		x.ClusterUID = opened.ClusterUID
	}
	return nil
}

func (x *Index) applyObject(e events.Event) error {
	var object map[string]any
	if err := json.Unmarshal(e.Data, &object); err != nil {
		return fmt.Errorf("index event %d (%s): %w", e.Sequence, e.Key, err)
	}
	metadata, _ := object["metadata"].(map[string]any)
	version, _ := metadata["resourceVersion"].(string)
	if n, err := strconv.ParseUint(version, 10, 64); err == nil {
		x.ResourceVersion = max(x.ResourceVersion, n)
	}
	if e.Type == events.ObjectDeleted {
		delete(x.Entries, e.Key)
		x.schedule.set(e.Key, nil)
		x.noteAsked(e.Key)
		return nil
	}
	entry, err := newEntry(e, object, metadata)
	if err != nil {
		return fmt.Errorf("index event %d (%s): %w", e.Sequence, e.Key, err)
	}
	if e.Key.Resource == events.Secrets {
		entry.Recipient = x.Recipient
		if entry.Moments, err = moments(e); err != nil {
			return fmt.Errorf("index event %d (%s): %w", e.Sequence, e.Key, err)
		}
		x.schedule.set(e.Key, entry.Moments)
	}
	entry.carryPin(x.Entries[e.Key])
	x.Entries[e.Key] = entry
	x.noteAsked(e.Key)
	return nil
}

func newEntry(e events.Event, object, metadata map[string]any) (*Entry, error) {
	entry := &Entry{Sequence: e.Sequence}
	entry.ResourceVersion, _ = metadata["resourceVersion"].(string)
	entry.UID, _ = metadata["uid"].(string)
	entry.Created, _ = metadata["creationTimestamp"].(string)
	if g, ok := metadata["generation"].(float64); ok {
		entry.Generation = int64(g)
	}
	entry.File = takeSource(object)
	var err error
	if entry.Hash, err = contentHash(e, object); err != nil {
		return nil, err
	}
	if entry.SpecHash, err = SpecHash(e.Key.Resource, object); err != nil {
		return nil, err
	}
	if entry.References, err = References(e.Key.Resource, e.Data); err != nil {
		return nil, err
	}
	if e.Key.Resource == events.GatewayClasses {
		entry.Object = object
	}
	entry.setPin(e)
	return entry, nil
}

// contentHash is normalize.Hash, or for a Secret keypair.Hash of its recorded form.
func contentHash(e events.Event, object map[string]any) (routing.Digest, error) {
	if e.Key.Resource != events.Secrets {
		return normalize.Hash(object)
	}
	var secret events.Secret
	if err := json.Unmarshal(e.Data, &secret); err != nil {
		return routing.Digest{}, err
	}
	takeSource(map[string]any{"metadata": secret.Metadata})
	return keypair.Hash(secret)
}

// takeSource removes and returns the source annotation.
func takeSource(object map[string]any) string {
	metadata, _ := object["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	file, _ := annotations[SourceAnnotation].(string)
	if file != "" {
		delete(annotations, SourceAnnotation)
		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
	return file
}

// SpecHash is over what the generation of an object counts: everything but
// metadata and status. It is zero for kinds without a generation.
func SpecHash(resource string, object map[string]any) (routing.Digest, error) {
	switch resource {
	case events.Services, events.Secrets, events.Namespaces, events.ConfigMaps, events.ClusterTrustBundles:
		return routing.Digest{}, nil
	}
	spec := maps.Clone(object)
	delete(spec, "metadata")
	delete(spec, "status")
	return normalize.Hash(spec)
}
