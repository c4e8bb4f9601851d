package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
)

var update = flag.Bool("update", false, "write the samples that are missing; existing ones are history and are never rewritten")

// sample is a stored message as the files under testdata show it.
type sample struct {
	Subject   string            `json:"subject"`
	ID        string            `json:"id"`
	Permanent bool              `json:"permanent,omitempty"`
	Header    map[string]string `json:"header"`
	Data      string            `json:"data"`
}

// samples has one event of each type.
func samples() map[string]events.Event {
	at := time.Date(2026, 11, 23, 4, 5, 6, 789_000_001, time.UTC)
	route := events.Key{Resource: events.HTTPRoutes, Namespace: "shop", Name: "cart.v2"}
	object := `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"cart.v2","namespace":"shop","uid":"6f1c","resourceVersion":"41","generation":3},"spec":{"hostnames":["shop.example"]}}`
	payload := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return data
	}
	event := func(id string, t events.Type, key events.Key, data []byte) events.Event {
		return events.Event{ID: id, Type: t, Cluster: "eu.west", Key: key, Time: at, Epoch: 7, Data: data}
	}
	return map[string]events.Event{
		"object.applied":  event("6f1c/41", events.ObjectApplied, route, []byte(object)),
		"object.deleted":  event("6f1c/57", events.ObjectDeleted, route, []byte(object)),
		"object.baseline": event("6f1c/41", events.ObjectBaseline, events.Key{Resource: events.GatewayClasses, Name: "rutter"}, []byte(object)),
		"object.endpoints": event("77aa/9", events.ObjectApplied, events.Key{Resource: events.EndpointSlices, Namespace: "shop", Name: "cart-x7"},
			[]byte(`{"kind":"EndpointSlice"}`)),
		"object.applied.parameters": event("9c2e/43", events.ObjectApplied, events.Key{Resource: events.RutterClasses, Name: "edge"},
			[]byte(`{"apiVersion":"rutter.dev/v1alpha1","kind":"RutterClass","metadata":{"name":"edge","uid":"9c2e","resourceVersion":"43","generation":1},"spec":{"tenancy":{"mode":"namespace"}}}`)),
		"sync.started":         event("sync/httproutes/7", events.TypeSyncStart, events.SyncKey(events.HTTPRoutes), payload(events.Sync{Resource: events.HTTPRoutes, ResourceVersion: "57"})),
		"sync.completed":       event("sync/endpointslices/7", events.TypeSyncDone, events.SyncKey(events.EndpointSlices), payload(events.Sync{Resource: events.EndpointSlices})),
		"sync.completed.whole": event("sync/httproutes/9", events.TypeSyncDone, events.SyncKey(events.HTTPRoutes), payload(events.Sync{Resource: events.HTTPRoutes, ResourceVersion: "59", Whole: true})),
		"sync.completed.problem": event("sync/httproutes/11", events.TypeSyncDone, events.SyncKey(events.HTTPRoutes), payload(events.Sync{
			Resource: events.HTTPRoutes, Problem: &events.SyncProblem{Reason: events.ReasonForbidden, Message: "forbidden"},
		})),
		"sync.completed.endpoints.problem": event("sync/endpointslices/12", events.TypeSyncDone, events.ProblemKey(events.EndpointSlices), payload(events.Sync{
			Resource: events.EndpointSlices, ResourceVersion: "60", Problem: &events.SyncProblem{Reason: events.ReasonDeletionsHeld, Message: "held"},
		})),
		"object.applied.cluster": event("6f1c/42", events.ObjectApplied, route, []byte(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"managedFields":[{"manager":"argocd","operation":"Apply","time":"2026-11-23T04:05:06Z"}],"name":"cart.v2","namespace":"shop","uid":"6f1c","resourceVersion":"42","generation":3},"spec":{}}`)),
		"epoch.opened.cluster": event("epoch/9", events.TypeEpoch, events.EpochKey(events.StreamEvents), payload(events.EpochOpened{
			Epoch: 9, Holder: "ingest-1", ClusterUID: "0b1c", Settings: &events.Settings{ControllerName: "rutter.dev/gateway-controller", Resources: []string{events.Gateways}},
		})),
		"epoch.opened": event("epoch/7", events.TypeEpoch, events.EpochKey(events.StreamEvents), payload(events.EpochOpened{
			Epoch: 7, Holder: "ingest-0", Settings: &events.Settings{
				ControllerName: "rutter.dev/gateway-controller", Resources: []string{events.Gateways, events.HTTPRoutes},
				ListenAddress: "0.0.0.0", RouteLayout: "scoped", Recipient: "age1example",
			},
		})),
		"epoch.opened.provisioned": event("epoch/8", events.TypeEpoch, events.EpochKey(events.StreamEvents), payload(events.EpochOpened{
			Epoch: 8, Holder: "ingest-1", Settings: &events.Settings{
				ControllerName: "rutter.dev/gateway-controller", Resources: []string{events.Gateways, events.HTTPRoutes},
				ListenAddress: "0.0.0.0", RouteLayout: "scoped", Recipient: "age1example", Provisioned: true,
			},
		})),
		"epoch.opened.endpoints": event("epoch/7", events.TypeEpoch, events.EpochKey(events.StreamEndpoints), payload(events.EpochOpened{Epoch: 7, Holder: "ingest-0"})),
		"epoch.opened.snapshots": event("epoch/7", events.TypeEpoch, events.EpochKey(events.StreamSnapshots), payload(events.EpochOpened{Epoch: 7, Holder: "projector-0"})),
		"time.reached":           event("time/1", events.TypeTime, events.Key{Resource: events.Secrets, Namespace: "shop", Name: "tls"}, payload(events.TimeReached{Time: at})),
		"actor.observed": event("actor/0c9e", events.TypeActor, route, payload(events.ActorObserved{
			User: "alice", Groups: []string{"shop", "system:authenticated"}, RequestUID: "0c9e", Operation: "UPDATE", UID: "6f1c", ResourceVersion: "40", Before: "cd34", Content: "ab12",
		})),
		"actor.observed.deletion": event("actor/77e1", events.TypeActor, route, payload(events.ActorObserved{
			User: "system:serviceaccount:ci:deploy", RequestUID: "77e1", Operation: "DELETE", UID: "6f1c", ResourceVersion: "57", Before: "ab12", DryRun: true,
		})),
		"object.applied.pin": event("4b1d/44", events.ObjectApplied, events.Key{Resource: events.RoutingPins, Namespace: "shop", Name: "gw"},
			[]byte(`{"apiVersion":"rutter.dev/v1alpha1","kind":"RoutingPin","metadata":{"name":"gw","namespace":"shop","uid":"4b1d","resourceVersion":"44","generation":1},"spec":{"gatewayRef":{"name":"gw"},"version":"I/41","digest":"ab12","reason":"incident"}}`)),
		"routing.pinned": event("pinned/ab12/0", events.TypePinned, events.Key{Resource: events.RoutingPins, Namespace: "shop", Name: "gw"}, payload(events.PinnedRouting{
			Gateway: "shop/gw", Version: "I/41", Digest: "ab12", Parts: 1, Encoding: "zstd", Data: []byte("content"),
			Secrets: []events.Key{{Resource: events.Secrets, Namespace: "shop", Name: "tls"}},
		})),
		"routing.pinned.problem": event("pinned/ab12/1", events.TypePinned, events.Key{Resource: events.RoutingPins, Namespace: "shop", Name: "gw"}, payload(events.PinnedRouting{
			Gateway: "shop/gw", Version: "I/41", Digest: "ab12", Problem: &events.PinProblem{Reason: events.ReasonVersionNotKept, Message: "gone"},
		})),
		"verdict": event("verdict/ab12", events.TypeVerdict, route, payload(events.Verdict{
			Gateway: "shop/gw", Type: "type.googleapis.com/envoy.config.cluster.v3.Cluster", Name: "shop/cart/8080", Digest: "ab12", Reason: "bad \"value\"",
		})),
	}
}

// The stored form of each type is frozen, byte for byte, both ways.
func TestStoredFormIsFrozen(t *testing.T) {
	for name, event := range samples() {
		t.Run(name, func(t *testing.T) {
			m := events.Encode(event)
			got := marshal(t, sample{Subject: m.Subject, ID: m.ID, Permanent: m.Permanent, Header: m.Header, Data: string(m.Data)})
			file := filepath.Join("testdata", fmt.Sprintf("v%d", events.EnvelopeVersion), name+".json")
			want, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) && *update {
				want, err = got, errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, got, 0o644))
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("encoded:\n%s\nfrozen:\n%s", got, want)
			}
		})
	}
}

// Every sample of every version that was ever written is read, and means what it
// meant.
func TestEverySampleIsRead(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "v*", "*.json"))
	if err != nil || len(files) < len(samples()) {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var s sample
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		got, err := events.Decode(events.Message{Subject: s.Subject, ID: s.ID, Permanent: s.Permanent, Header: s.Header, Data: []byte(s.Data), Sequence: 9})
		if err != nil {
			t.Fatal(err)
		}
		want := samples()[strings.TrimSuffix(filepath.Base(file), ".json")]
		want.Sequence = 9
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as\n%+v, want\n%+v", file, got, want)
		}
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestDecodeUndoesEncode(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		want := randomEvent(random)
		got, err := events.Decode(events.Encode(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %v\n%+v became\n%+v", seed, err, want, got)
		}
	}
}

func randomEvent(random *rand.Rand) events.Event {
	name := func() string {
		const letters = "abz09-."
		out := []byte("x")
		for range random.IntN(12) {
			out = append(out, letters[random.IntN(len(letters))])
		}
		return string(out) + "0"
	}
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	return events.Event{
		ID:   name() + "/" + name(),
		Type: events.Type(pick(string(events.ObjectApplied), string(events.ObjectDeleted), string(events.TypeEpoch), string(events.TypeVerdict), string(events.TypeActor))),
		Key: events.Key{
			Resource:  pick(events.HTTPRoutes, events.EndpointSlices, events.Secrets, "sync", "epoch"),
			Namespace: pick("", name()), Name: pick(name(), "events", "endpoints", "snapshots", events.EndpointSlices),
		},
		Cluster:  name(),
		Time:     time.Unix(random.Int64N(1<<33), random.Int64N(1e9)).UTC(),
		Epoch:    random.Uint64(),
		Data:     []byte(name()),
		Sequence: random.Uint64(),
	}
}

func TestUnreadableEnvelopeIsRefusedWithItsReason(t *testing.T) {
	for header, value := range map[string]string{
		"ce-envelope": "2", "ce-specversion": "0.3", "ce-subject": "httproutes/shop", "ce-time": "yesterday", "ce-epoch": "-1", "ce-id": "", "ce-source": "other",
	} {
		m := events.Encode(samples()["object.applied"])
		m.Sequence = 12
		m.Header[header] = value
		_, err := events.Decode(m)
		if !errors.Is(err, events.ErrEnvelope) || !strings.Contains(err.Error(), "message 12 on "+m.Subject) {
			t.Errorf("%s %q: error %v", header, value, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range samples() {
		m := events.Encode(e)
		f.Add(m.Subject, m.ID, m.Header["ce-type"], m.Header["ce-source"], m.Header["ce-subject"], m.Header["ce-time"], m.Header["ce-epoch"], m.Data)
	}
	f.Fuzz(func(t *testing.T, subject, id, eventType, source, object, at, epoch string, data []byte) {
		m := events.Encode(events.Event{})
		m.Subject, m.Data = subject, data
		maps.Copy(m.Header, map[string]string{"ce-id": id, "ce-type": eventType, "ce-source": source, "ce-subject": object, "ce-time": at, "ce-epoch": epoch})
		read, err := events.Decode(m)
		if err != nil {
			if !errors.Is(err, events.ErrEnvelope) {
				t.Errorf("error %v", err)
			}
			return
		}
		if again, err := events.Decode(events.Encode(read)); err != nil || !reflect.DeepEqual(again, read) {
			t.Errorf("%+v became %+v: %v", read, again, err)
		}
	})
}
