// Package preview says what would be recorded if manifests were applied and objects
// deleted, and records nothing.
//
//	manifests, what is recorded ──Of──► events that would follow, and what would be refused
//
// It promises the defaults, validation and recorded form of manifests that standalone
// has. An object that exists keeps its identity, its status, and the labels and
// annotations that the manifest does not name. It refuses to seal: of a Secret the
// private key is checked and left out.
package preview

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
)

// Config says what is applied to what.
type Config struct {
	Files  []File
	Delete []events.Key
	// Recorded is the recorded form of an object, as JSON; nil where there is none.
	Recorded func(events.Key) []byte
	// Resources are those that are recorded; of others nothing is looked at.
	Resources []string
	// Now is when it happens.
	Now time.Time
}

// Preview is what would follow.
type Preview struct {
	// Events are in the order in which they would be recorded, without sequences.
	Events []events.Event
	// Unchanged objects are recorded as they are already.
	Unchanged []events.Key
	// Refused and Ignored are documents, with the reason.
	Refused, Ignored []Problem
	// Unknown are Secrets, ConfigMaps and ClusterTrustBundles that are referred to and
	// not recorded. They may exist: such objects are recorded once something refers to
	// them.
	Unknown []events.Key
}

// Problem is a document, and why it counts for nothing.
type Problem struct {
	Where   string `json:"where"`
	Message string `json:"message"`
}

// Of previews.
func Of(c Config) (*Preview, error) {
	changes, err := manifests.Once(c.Files, c.Recorded)
	if err != nil {
		return nil, err
	}
	p := &Preview{}
	for _, refused := range changes.Problems {
		p.Refused = append(p.Refused, Problem{refused.Source.String(), refused.Message})
	}
	for _, ignored := range changes.Notices {
		p.Ignored = append(p.Ignored, Problem{ignored.Source.String(), ignored.Message})
	}
	applied := map[events.Key]bool{}
	var referred []events.Key
	for _, o := range changes.Applied {
		if !slices.Contains(c.Resources, o.Key.Resource) || o.Key.Resource == events.EndpointSlices {
			p.Ignored = append(p.Ignored, Problem{o.Source.String(), o.Key.Resource + " have no part in routing here"})
			continue
		}
		applied[o.Key] = true
		event, changed, err := c.applied(o)
		if err != nil {
			return nil, fmt.Errorf("preview %s: %w", o.Key, err)
		}
		if !changed {
			p.Unchanged = append(p.Unchanged, o.Key)
			continue
		}
		p.Events = append(p.Events, event)
		keys, err := index.References(o.Key.Resource, event.Data)
		if err != nil {
			return nil, fmt.Errorf("preview %s: %w", o.Key, err)
		}
		referred = append(referred, keys...)
	}
	for _, key := range c.Delete {
		p.Events = append(p.Events, events.Event{ID: "plan/" + key.String(), Type: events.ObjectDeleted, Key: key, Time: c.Now, Data: []byte("{}")})
	}
	for _, key := range referred {
		if !applied[key] && c.Recorded(key) == nil && !slices.Contains(p.Unknown, key) {
			p.Unknown = append(p.Unknown, key)
		}
	}
	return p, nil
}

// applied is the event of an object, unless it says what is recorded.
func (c *Config) applied(o manifests.Object) (events.Event, bool, error) {
	next, err := recordedForm(o)
	if err != nil {
		return events.Event{}, false, err
	}
	var before map[string]any
	if data := c.Recorded(o.Key); data != nil {
		if err := json.Unmarshal(data, &before); err != nil {
			return events.Event{}, false, err
		}
	}
	metadata := maps.Clone(object(next["metadata"]))
	next["metadata"] = metadata
	generation := int64(1)
	metadata["uid"], metadata["creationTimestamp"] = "plan/"+o.Key.String(), c.Now.UTC().Format(time.RFC3339)
	if before != nil {
		keep(next, before)
		if same, err := sameContent(next, before); same || err != nil {
			return events.Event{}, false, err
		}
		was, _ := object(before["metadata"])["generation"].(float64)
		generation = int64(was)
		a, err := index.SpecHash(o.Key.Resource, before)
		if err != nil {
			return events.Event{}, false, err
		}
		if b, err := index.SpecHash(o.Key.Resource, next); err != nil {
			return events.Event{}, false, err
		} else if a != b {
			generation++
		}
	}
	if hash, err := index.SpecHash(o.Key.Resource, next); err == nil && hash != (routing.Digest{}) {
		metadata["generation"] = generation
	}
	data, err := normalize.JSON(next)
	return events.Event{ID: "plan/" + o.Key.String(), Type: events.ObjectApplied, Key: o.Key, Time: c.Now, Data: data}, true, err
}

// recordedForm is what is recorded of an object, without its identity.
func recordedForm(o manifests.Object) (map[string]any, error) {
	if o.Key.Resource != events.Secrets {
		return normalize.Object(o.Key.Resource, o.Object), nil
	}
	secret, err := keypair.Public(o.Object)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(secret)
	if err != nil {
		return nil, err
	}
	form := map[string]any{}
	return form, json.Unmarshal(data, &form)
}

// keep takes over from what is recorded what applying a manifest leaves as it is.
func keep(next, before map[string]any) {
	from, to := object(before["metadata"]), object(next["metadata"])
	for _, name := range []string{"uid", "resourceVersion", "creationTimestamp", "ownerReferences", "finalizers"} {
		if value, ok := from[name]; ok {
			to[name] = value
		}
	}
	for _, name := range []string{"labels", "annotations"} {
		merged := maps.Clone(object(from[name]))
		if merged == nil {
			continue
		}
		maps.Copy(merged, object(to[name]))
		to[name] = merged
	}
	if status, ok := before["status"]; ok {
		next["status"] = status
	}
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// sameContent tells whether two recorded forms say the same.
func sameContent(a, b map[string]any) (bool, error) {
	x, err := events.Content(a)
	if err != nil {
		return false, err
	}
	y, err := events.Content(b)
	return x == y, err
}
