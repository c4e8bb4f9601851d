package record_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
	"github.com/rutter-gateway/rutter/ingest/internal/record"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// rig records into two indexes as the service does into two streams.
type rig struct {
	t *testing.T
	*record.Recorder
	now time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	r.Recorder = &record.Recorder{
		Cluster: "c", Sealer: newSealer(t), Now: func() time.Time { return r.now },
		Events: index.New("E"), Endpoints: index.New("P"),
	}
	return r
}

func newSealer(t *testing.T) *keypair.Sealer {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := keypair.NewSealer(identity.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

var resources = map[string]string{
	"Gateway": events.Gateways, "ListenerSet": events.ListenerSets, "HTTPRoute": events.HTTPRoutes, "Service": events.Services, "Secret": events.Secrets,
	"ConfigMap": events.ConfigMaps, "EndpointSlice": events.EndpointSlices, "Namespace": events.Namespaces,
	"BackendTLSPolicy": events.BackendTLSPolicies, "ClusterTrustBundle": events.ClusterTrustBundles,
}

// objects are those of a text, as the reader of the directory hands them on.
func objects(t *testing.T, file, text string) []observed.Object {
	t.Helper()
	var out []observed.Object
	for _, o := range gwtest.Objects(t, text) {
		metadata, _ := o["metadata"].(map[string]any)
		kind, _ := o["kind"].(string)
		name, _ := metadata["name"].(string)
		namespace, _ := metadata["namespace"].(string)
		key := events.Key{Resource: resources[kind], Namespace: namespace, Name: name}
		hash, err := normalize.Hash(normalize.Object(key.Resource, o))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, observed.Object{Key: key, Object: o, Hash: hash, File: file})
	}
	return out
}

// apply records the documents of a text.
func (r *rig) apply(file, text string) []recorded {
	r.t.Helper()
	return r.record(observed.Changes{Applied: objects(r.t, file, text)})
}

func (r *rig) remove(keys ...events.Key) []recorded {
	r.t.Helper()
	var gone []observed.Deletion
	for _, key := range keys {
		gone = append(gone, observed.Deletion{Key: key})
	}
	return r.record(observed.Changes{Deleted: gone})
}

// record is what changes come to, in order, folded into the indexes.
func (r *rig) record(c observed.Changes) []recorded {
	r.t.Helper()
	batch, err := r.Batch(c)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []recorded
	for _, list := range [][]events.Event{batch.EndpointsApplied, batch.Events, batch.EndpointsDeleted} {
		for _, e := range list {
			x := r.Events
			if e.Key.Resource == events.EndpointSlices {
				x = r.Endpoints
			}
			e.Sequence = x.Position.Sequence + 1
			if err := x.Apply(e); err != nil {
				r.t.Fatal(err)
			}
			out = append(out, read(r.t, e))
		}
	}
	return out
}

// recorded is an event with its object.
type recorded struct {
	events.Event
	object
}

type object struct {
	Metadata struct {
		UID, ResourceVersion, CreationTimestamp string
		Generation                              int64
		Labels, Annotations                     map[string]string
	}
	KeyPair *events.KeyPair
}

func read(t *testing.T, e events.Event) recorded {
	t.Helper()
	out := recorded{Event: e}
	if err := json.Unmarshal(e.Data, &out.object); err != nil {
		t.Fatal(err)
	}
	return out
}

// one is the single event of a list.
func one(t *testing.T, list []recorded) recorded {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("recorded %s, want one event", keys(list))
	}
	return list[0]
}

func keys(list []recorded) string {
	var out []string
	for _, e := range list {
		out = append(out, strings.TrimPrefix(string(e.Type), "dev.rutter.object.")+" "+e.Key.String())
	}
	return strings.Join(out, ", ")
}
