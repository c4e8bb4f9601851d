package index_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/ingest/internal/index"
)

// log is a stream with a store for checkpoints. What it holds stays for an hour.
type log struct {
	t       *testing.T
	stream  events.Stream
	bucket  events.Bucket
	version int
	ids     int
}

func newLog(t *testing.T) *log {
	t.Helper()
	l := memlog.New(memlog.Config{})
	t.Cleanup(l.Close)
	stream, err := l.Stream(t.Context(), events.StreamConfig{Name: "S", Subjects: []string{"rutter.>"}, MaxAge: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := l.Bucket(t.Context(), index.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	return &log{t: t, stream: stream, bucket: bucket}
}

func (l *log) append(kind events.Type, key events.Key, data []byte) {
	l.t.Helper()
	l.ids++
	e := events.Event{ID: fmt.Sprint("id/", l.ids), Type: kind, Cluster: "c", Key: key, Time: time.Now().UTC(), Data: data}
	if _, err := l.stream.Publish(l.t.Context(), events.Encode(e)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *log) object(kind events.Type, key events.Key, spec map[string]any) {
	l.t.Helper()
	l.version++
	spec["metadata"] = map[string]any{
		"name": key.Name, "namespace": key.Namespace, "uid": "u-" + key.Name, "resourceVersion": fmt.Sprint(l.version),
		"generation": l.version, "creationTimestamp": "2026-11-23T12:00:00Z",
		"annotations": map[string]any{index.SourceAnnotation: key.Name + ".yaml"},
	}
	data, err := json.Marshal(spec)
	if err != nil {
		l.t.Fatal(err)
	}
	l.append(kind, key, data)
}

func (l *log) load(bucket events.Bucket) *index.Index {
	l.t.Helper()
	x, err := index.Load(l.t.Context(), bucket, "S", l.stream)
	if err != nil {
		l.t.Fatal(err)
	}
	return x
}

// empty is a store without checkpoints.
type empty struct{ events.Bucket }

func (empty) Get(context.Context, string) ([]byte, error) { return nil, events.ErrNotFound }

// random appends one random event.
func (l *log) random(rng *rand.Rand) {
	l.t.Helper()
	resources := []string{
		events.GatewayClasses, events.Gateways, events.HTTPRoutes, events.Services, events.Secrets, events.EndpointSlices,
	}
	key := events.Key{Resource: resources[rng.IntN(len(resources))], Namespace: "n", Name: fmt.Sprintf("o%d", rng.IntN(4))}
	spec := map[string]any{"kind": "K", "spec": map[string]any{"n": rng.IntN(3)}}
	if key.Resource == events.Gateways {
		spec["spec"] = map[string]any{"listeners": []any{map[string]any{"tls": map[string]any{
			"certificateRefs": []any{map[string]any{"name": fmt.Sprint("cert", rng.IntN(3))}},
		}}}}
	}
	switch n := rng.IntN(20); {
	case n < 12:
		l.object(events.ObjectApplied, key, spec)
	case n < 14:
		l.object(events.ObjectBaseline, key, spec)
	case n < 17:
		l.object(events.ObjectDeleted, key, map[string]any{})
	case n == 17:
		l.append(events.TypeSyncStart, events.SyncKey(events.EndpointSlices), []byte(`{"resource":"endpointslices"}`))
	case n == 18:
		l.append(events.TypeSyncDone, events.SyncKey(events.EndpointSlices), []byte(`{"resource":"endpointslices"}`))
	default:
		opened := fmt.Appendf(nil, `{"epoch":1,"holder":"h","settings":{"recipient":"age%d"}}`, rng.IntN(2))
		l.append(events.TypeEpoch, events.EpochKey(events.StreamEvents), opened)
	}
}

func TestCheckpointAndTailGiveTheIndexOfTheWholeLog(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l, rng := newLog(t), rand.New(rand.NewPCG(seed, 1))
			for range 8 {
				for range rng.IntN(12) {
					l.random(rng)
				}
				fromTail, whole := l.load(l.bucket), l.load(empty{})
				if !reflect.DeepEqual(fromTail, whole) {
					t.Fatalf("from checkpoint and tail\n%s\nfrom the whole log\n%s", show(t, fromTail), show(t, whole))
				}
				if rng.IntN(2) == 0 {
					if err := fromTail.Save(t.Context(), l.bucket, "S", l.stream); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func show(t *testing.T, x *index.Index) string {
	t.Helper()
	entries := map[string]*index.Entry{}
	for key, e := range x.Entries {
		entries[key.String()] = e
	}
	out, err := json.MarshalIndent(map[string]any{"position": x.Position, "version": x.ResourceVersion, "entries": entries}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestWhatRetentionRemovedIsKnownFromTheCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		key := events.Key{Resource: events.HTTPRoutes, Namespace: "n", Name: "r"}
		l.object(events.ObjectApplied, key, map[string]any{"spec": map[string]any{}})
		before := l.load(l.bucket)
		if err := before.Save(t.Context(), l.bucket, "S", l.stream); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * 24 * time.Hour) // of the bubble
		if after := l.load(l.bucket); !reflect.DeepEqual(after, before) {
			t.Errorf("it was\n%s\nand is\n%s", show(t, before), show(t, after))
		}
	})
}

func TestAGapAsksForEverythingToBeRecordedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		key := events.Key{Resource: events.HTTPRoutes, Namespace: "n", Name: "r"}
		l.append(events.TypeSyncStart, events.SyncKey(events.EndpointSlices), []byte(`{"resource":"endpointslices"}`))
		l.append(events.TypeSyncDone, events.SyncKey(events.EndpointSlices), []byte(`{"resource":"endpointslices"}`))
		l.object(events.ObjectApplied, key, map[string]any{"spec": map[string]any{"n": 1}})
		if err := l.load(l.bucket).Save(t.Context(), l.bucket, "S", l.stream); err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			l.object(events.ObjectApplied, key, map[string]any{"spec": map[string]any{"n": n}})
		}
		time.Sleep(2 * time.Hour)
		l.object(events.ObjectApplied, events.Key{Resource: events.HTTPRoutes, Namespace: "n", Name: "new"}, map[string]any{"spec": map[string]any{}})
		x := l.load(l.bucket)
		old, added := x.Entries[key], x.Entries[events.Key{Resource: events.HTTPRoutes, Namespace: "n", Name: "new"}]
		if old == nil || !old.Again || added == nil || added.Again {
			t.Errorf("what was before the gap is %+v, what came after it %+v", old, added)
		}
		if x.Position.Sequence != 7 || x.ResourceVersion < 5 || x.Whole != (index.Mark{}) {
			t.Errorf("the index is at %v with the resourceVersion %d, whole since %v", x.Position, x.ResourceVersion, x.Whole)
		}
	})
}

func TestACheckpointOfAnotherIncarnationIsIgnored(t *testing.T) {
	l := newLog(t)
	other := index.New("another")
	other.ResourceVersion = 99
	if err := other.Save(t.Context(), l.bucket, "S", l.stream); err != nil {
		t.Fatal(err)
	}
	if x := l.load(l.bucket); x.ResourceVersion != 0 {
		t.Errorf("the index has the resourceVersion %d of another stream", x.ResourceVersion)
	}
}

func TestAListIsWholeOnlyOnceItIsCompleted(t *testing.T) {
	l := newLog(t)
	bracket := func(kind events.Type) {
		l.append(kind, events.SyncKey(events.EndpointSlices), []byte(`{"resource":"endpointslices"}`))
	}
	bracket(events.TypeSyncStart)
	bracket(events.TypeSyncDone)
	bracket(events.TypeSyncStart)
	if x := l.load(l.bucket); x.Begun.Sequence != 3 || x.Whole.Sequence != 1 {
		t.Errorf("begun at %d, whole since %d, want 3 and 1", x.Begun.Sequence, x.Whole.Sequence)
	}
}
