// Package index is what ingest knows to be recorded, folded from the log itself
// and never from "the last message per subject", which retention removes.
//
//	events of a stream ──Apply──► Index: object → uid, resourceVersion, generation, content hash, source
//
// It promises that folding the whole stream, or a checkpoint and the tail after
// it, gives the same index. It holds no object contents, except those of
// GatewayClasses, whose schema has rules about updates.
package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
)

// SourceAnnotation carries the file, below the directory of manifests, that an
// object came from.
const SourceAnnotation = "rutter.dev/manifest"

// Bucket is the object store of the checkpoints of the index.
const Bucket = "rutter-ingest"

// Entry is what is known of one recorded object.
type Entry struct {
	UID        string `json:"uid"`
	Generation int64  `json:"generation,omitempty"`
	Created    string `json:"created"`
	// Hash is over the content, SpecHash over what the generation counts.
	Hash     string `json:"hash"`
	SpecHash string `json:"specHash,omitempty"`
	File     string `json:"file,omitempty"`
	// Secrets are those that a Gateway refers to.
	Secrets []events.Key `json:"secrets,omitempty"`
	// Object is kept for GatewayClasses only.
	Object map[string]any `json:"object,omitempty"`
}

// Index is the recorded objects of one stream.
type Index struct {
	// Position is the last message folded in.
	Position events.Version
	// ResourceVersion is the highest that was ever given out.
	ResourceVersion uint64
	Entries         map[events.Key]*Entry
}

// New is the index before the first message.
func New(incarnation string) *Index {
	return &Index{Position: events.Version{Incarnation: incarnation}, Entries: map[events.Key]*Entry{}}
}

// Apply folds one event in.
func (x *Index) Apply(e events.Event) error {
	x.Position.Sequence = e.Sequence
	switch e.Type {
	case events.ObjectApplied, events.ObjectBaseline, events.ObjectDeleted:
	default:
		return nil
	}
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
		return nil
	}
	entry, err := newEntry(e, object, metadata)
	if err != nil {
		return fmt.Errorf("index event %d (%s): %w", e.Sequence, e.Key, err)
	}
	x.Entries[e.Key] = entry
	return nil
}

func newEntry(e events.Event, object, metadata map[string]any) (*Entry, error) {
	entry := &Entry{}
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
	switch e.Key.Resource {
	case events.Gateways:
		var gw gatewayv1.Gateway
		if err := json.Unmarshal(e.Data, &gw); err != nil {
			return nil, err
		}
		entry.Secrets = Secrets(&gw)
	case events.GatewayClasses:
		entry.Object = object
	}
	return entry, nil
}

// contentHash is normalize.Hash, or for a Secret keypair.Hash of its recorded form.
func contentHash(e events.Event, object map[string]any) (string, error) {
	if e.Key.Resource != events.Secrets {
		return normalize.Hash(object)
	}
	var secret events.Secret
	if err := json.Unmarshal(e.Data, &secret); err != nil {
		return "", err
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
// metadata and status. It is "" for kinds without a generation.
func SpecHash(resource string, object map[string]any) (string, error) {
	switch resource {
	case events.Services, events.Secrets, events.Namespaces:
		return "", nil
	}
	spec := maps.Clone(object)
	delete(spec, "metadata")
	delete(spec, "status")
	return normalize.Hash(spec)
}

// Secrets are the Secrets that a Gateway refers to, sorted.
func Secrets(gw *gatewayv1.Gateway) []events.Key {
	var keys []events.Key
	for _, l := range gw.Spec.Listeners {
		if l.TLS == nil {
			continue
		}
		for _, ref := range l.TLS.CertificateRefs {
			key := events.Key{Resource: events.Secrets, Namespace: gw.Namespace, Name: string(ref.Name)}
			if ref.Namespace != nil {
				key.Namespace = string(*ref.Namespace)
			}
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	slices.SortFunc(keys, events.Key.Compare)
	return keys
}

// stored is the form of a checkpoint.
type stored struct {
	Position        events.Version   `json:"position"`
	ResourceVersion uint64           `json:"resourceVersion"`
	Entries         map[string]Entry `json:"entries"`
}

// Save stores the index under the name of its stream.
func (x *Index) Save(ctx context.Context, bucket events.Bucket, stream string) error {
	s := stored{Position: x.Position, ResourceVersion: x.ResourceVersion, Entries: map[string]Entry{}}
	for key, e := range x.Entries {
		s.Entries[key.String()] = *e
	}
	data, err := json.Marshal(s)
	if err == nil {
		err = bucket.Put(ctx, stream, data)
	}
	if err != nil {
		return fmt.Errorf("store index of %s: %w", stream, err)
	}
	return nil
}

// Load folds the checkpoint of a stream, if there is one of this incarnation, and
// all that the stream holds after it.
func Load(ctx context.Context, bucket events.Bucket, name string, stream events.Stream) (*Index, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	x, err := restore(ctx, bucket, name, info)
	if err != nil {
		return nil, err
	}
	return x, x.CatchUp(ctx, stream, info.Last)
}

func restore(ctx context.Context, bucket events.Bucket, name string, info events.StreamInfo) (*Index, error) {
	x := New(info.Incarnation)
	data, err := bucket.Get(ctx, name)
	if errors.Is(err, events.ErrNotFound) {
		return x, nil
	}
	var s stored
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return nil, fmt.Errorf("read index of %s: %w", name, err)
	}
	if s.Position.Incarnation != info.Incarnation || s.Position.Sequence > info.Last {
		return x, nil
	}
	x.Position, x.ResourceVersion = s.Position, s.ResourceVersion
	for text, e := range s.Entries {
		key, err := events.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("read index of %s: %w", name, err)
		}
		x.Entries[key] = &e
	}
	return x, nil
}

// CatchUp folds in what the stream holds up to the sequence last.
func (x *Index) CatchUp(ctx context.Context, stream events.Stream, last uint64) error {
	if x.Position.Sequence >= last {
		return nil
	}
	from := x.Position.Sequence
	if from > 0 {
		from++
	}
	reader := stream.Reader(from)
	defer reader.Close()
	for x.Position.Sequence < last {
		messages, err := reader.Next(ctx)
		if err != nil {
			return fmt.Errorf("read what is recorded: %w", err)
		}
		for _, m := range messages {
			e, err := events.Decode(m)
			if err != nil {
				return err
			}
			if err := x.Apply(e); err != nil {
				return err
			}
		}
	}
	return nil
}
