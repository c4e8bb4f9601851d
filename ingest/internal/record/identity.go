package record

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// identity is what tells one object, and one state of it, from all others.
type identity struct {
	uid, version string
	generation   int64
}

// identityOf is the identity that an object comes with; zero where it has none.
func identityOf(object map[string]any) identity {
	metadata, _ := object["metadata"].(map[string]any)
	uid, _ := metadata["uid"].(string)
	if uid == "" {
		return identity{}
	}
	id := identity{uid: uid}
	id.version, _ = metadata["resourceVersion"].(string)
	switch generation := metadata["generation"].(type) {
	case int64:
		id.generation = generation
	case float64: // of the recorded form of a Secret, which has been through JSON
		id.generation = int64(generation)
	}
	return id
}

// same tells whether this is the recorded object in the recorded generation. One
// that was changed and changed back has another, and its status must say so.
func (id identity) same(known *index.Entry) bool {
	return id.uid == known.UID && id.generation == known.Generation
}

// mint gives out an identity as the API server would, and writes it into object.
func (r *Recorder) mint(o observed.Object, object map[string]any, known *index.Entry, now time.Time) (identity, error) {
	specHash, err := index.SpecHash(o.Key.Resource, object)
	if err != nil {
		return identity{}, err
	}
	id, created := identity{uid: string(uuid.NewUUID()), version: r.nextVersion()}, now.Format(time.RFC3339)
	if specHash != (routing.Digest{}) {
		id.generation = 1
	}
	if known != nil {
		id.uid, created, id.generation = known.UID, known.Created, known.Generation
		if known.SpecHash != specHash {
			id.generation++
		}
	}
	metadata, _ := object["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	metadata["uid"], metadata["resourceVersion"], metadata["creationTimestamp"] = id.uid, id.version, created
	if id.generation > 0 {
		metadata["generation"] = id.generation
	}
	if o.File != "" {
		annotations, _ := metadata["annotations"].(map[string]any)
		annotations = maps.Clone(annotations)
		if annotations == nil {
			annotations = map[string]any{}
		}
		annotations[index.SourceAnnotation] = o.File
		metadata["annotations"] = annotations
	}
	object["metadata"] = metadata
	return id, nil
}

func (r *Recorder) nextVersion() string {
	r.last++
	return strconv.FormatUint(r.last, 10)
}

// deleted is the event that an object is gone, if it is recorded. That an earlier
// object of the name is gone is no news.
func (r *Recorder) deleted(gone observed.Deletion) (events.Event, bool, error) {
	known := r.index(gone.Key).Entries[gone.Key]
	if known == nil || gone.UID != "" && gone.UID != known.UID {
		return events.Event{}, false, nil
	}
	version := gone.ResourceVersion
	if version == "" {
		version = r.nextVersion()
	}
	metadata := map[string]any{"name": gone.Key.Name, "uid": known.UID, "resourceVersion": version}
	if gone.Key.Namespace != "" {
		metadata["namespace"] = gone.Key.Namespace
	}
	data, err := normalize.JSON(map[string]any{"metadata": metadata})
	if err != nil {
		return events.Event{}, false, fmt.Errorf("record the deletion of %s: %w", gone.Key, err)
	}
	return events.Event{
		ID: known.UID + "/" + version, Type: events.ObjectDeleted, Cluster: r.Cluster, Key: gone.Key, Time: r.Now().UTC(), Data: data,
	}, true, nil
}
