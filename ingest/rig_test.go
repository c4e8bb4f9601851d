package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// shelf is a source that is changed by the test, since watching files needs the
// real clock. It says what differs from what is recorded, as a directory does.
type shelf struct {
	t       testing.TB
	mu      sync.Mutex
	objects map[events.Key]manifests.Object
	changed chan struct{}
}

type shelfReader struct {
	*shelf
	seen    map[events.Key]routing.Digest
	started bool
}

func (s *shelf) open(c manifests.Config) (manifestReader, error) {
	r := &shelfReader{shelf: s, seen: map[events.Key]routing.Digest{}}
	for _, known := range c.Recorded {
		r.seen[known.Key] = known.Hash
	}
	return r, nil
}

func (r *shelfReader) Next(ctx context.Context) (manifests.Changes, error) {
	for {
		r.mu.Lock()
		changes, changed := r.difference(), r.changed
		r.mu.Unlock()
		if !r.started || !changes.Empty() {
			r.started = true
			return changes, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return manifests.Changes{}, ctx.Err()
		}
	}
}

func (r *shelfReader) difference() manifests.Changes {
	var out manifests.Changes
	for _, key := range slices.SortedFunc(maps.Keys(r.objects), events.Key.Compare) {
		if o := r.objects[key]; r.seen[key] != o.Hash {
			r.seen[key] = o.Hash
			o.Object = maps.Clone(o.Object)
			out.Applied = append(out.Applied, o)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(r.seen), events.Key.Compare) {
		if _, ok := r.objects[key]; !ok {
			delete(r.seen, key)
			out.Deleted = append(out.Deleted, key)
		}
	}
	return out
}

func (r *shelfReader) Problems() []manifests.Problem  { return nil }
func (r *shelfReader) Accepted() []manifests.Accepted { return nil }
func (r *shelfReader) Close() error                   { return nil }

// put puts the documents of a text on the shelf.
func (s *shelf) put(text string) {
	s.t.Helper()
	resources := map[string]string{
		"HTTPRoute": events.HTTPRoutes, "EndpointSlice": events.EndpointSlices, "Gateway": events.Gateways, "Secret": events.Secrets,
		"GatewayClass": events.GatewayClasses, "RoutingPin": events.RoutingPins,
	}
	s.change(func() {
		for _, o := range gwtest.Objects(s.t, text) {
			name, _ := o["metadata"].(map[string]any)["name"].(string)
			kind, _ := o["kind"].(string)
			key := events.Key{Resource: resources[kind], Namespace: "shop", Name: name}
			hash, err := normalize.Hash(normalize.Object(key.Resource, o))
			must(s.t, err)
			s.objects[key] = manifests.Object{Key: key, Object: o, Hash: hash, Source: manifests.Source{File: "all.yaml"}}
		}
	})
}

func (s *shelf) remove(key events.Key) { s.change(func() { delete(s.objects, key) }) }

func (s *shelf) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// rig is a log in memory with the shelf that is recorded in it. Use it in a bubble.
type rig struct {
	t       testing.TB
	log     *memlog.Log
	shelf   *shelf
	configs map[string]events.StreamConfig
	config  Config
	stalls  chan error
	// registry is that of the ingest that was started last.
	registry *prometheus.Registry
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{
		t: t, log: memlog.New(memlog.Config{}), configs: map[string]events.StreamConfig{}, stalls: make(chan error, 1000),
		shelf: &shelf{t: t, objects: map[events.Key]manifests.Object{}, changed: make(chan struct{})},
	}
	bucket, err := r.log.Bucket(t.Context(), IndexBucket)
	must(t, err)
	for _, c := range events.Streams(1) {
		r.configs[c.Name] = c
	}
	r.config = Config{
		Cluster: "c", Holder: "h", Sole: true, Bucket: bucket,
		Settings: events.Settings{ControllerName: "rutter.dev/gateway-controller", Recipient: newRecipient(t)},
		Events:   r.stream(events.StreamEvents), Endpoints: r.stream(events.StreamEndpoints),
		Report: func(_, _ []Problem) {}, Stalled: func(err error) { r.stalls <- err },
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
	return r
}

func newRecipient(t testing.TB) string {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	return identity.Recipient().String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *rig) stream(name string) events.Stream {
	r.t.Helper()
	s, err := r.log.Stream(r.t.Context(), r.configs[name])
	must(r.t, err)
	return s
}

// run is ingest on a directory that is read by read.
func run(ctx context.Context, c Config, read func(manifests.Config) (manifestReader, error)) error {
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry() // of this life
	}
	service, err := newService(c, manifestOrigin{config: c, read: read})
	if err != nil {
		return err
	}
	return service.Run(ctx)
}

// start runs ingest; stop ends it and returns its error.
func (r *rig) start() (stop func() error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	r.registry = prometheus.NewRegistry()
	config := r.config
	config.Registerer = r.registry
	go func() { done <- run(ctx, config, r.shelf.open) }()
	return func() error {
		cancel()
		return <-done
	}
}

// read is what a stream holds from sequence from on, all that there is from 0.
func (r *rig) read(s events.Stream, from uint64) []events.Event {
	r.t.Helper()
	info, err := s.Info(r.t.Context())
	must(r.t, err)
	var out []events.Event
	reader := s.Reader(from)
	defer reader.Close()
	for last := max(from, 1) - 1; last < info.Last && info.First <= info.Last; {
		messages, err := reader.Next(r.t.Context())
		must(r.t, err)
		for _, m := range messages {
			e, err := events.Decode(m)
			must(r.t, err)
			out, last = append(out, e), m.Sequence
		}
	}
	return out
}

// after is the sequence that comes next in a stream.
func (r *rig) after(s events.Stream) uint64 {
	r.t.Helper()
	info, err := s.Info(r.t.Context())
	must(r.t, err)
	return info.Last + 1
}

// story is a list of events in words; brackets of one kind in a row are one word.
func story(list []events.Event) string {
	var out []string
	for _, e := range list {
		word := strings.TrimPrefix(strings.TrimPrefix(string(e.Type), "dev.rutter."), "object.")
		switch e.Type {
		case events.ObjectApplied, events.ObjectBaseline, events.ObjectDeleted:
			word += " " + e.Key.Resource + "/" + e.Key.Name
		default:
			if len(out) > 0 && out[len(out)-1] == word {
				continue
			}
		}
		out = append(out, word)
	}
	return strings.Join(out, ", ")
}

// identity is the uid and the resourceVersion of a recorded object.
func identity(t testing.TB, e events.Event) string {
	t.Helper()
	var o struct {
		Metadata struct{ UID, ResourceVersion string }
	}
	must(t, json.Unmarshal(e.Data, &o))
	return o.Metadata.UID + "/" + o.Metadata.ResourceVersion
}

func route(name, hostname string) string {
	return fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: %s, namespace: shop}, spec: {hostnames: [%s]}}
---
`, name, hostname)
}

func slice(name, address string) string {
	return fmt.Sprintf(`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: %s, namespace: shop}, endpoints: [{addresses: [%s]}]}
---
`, name, address)
}

func routeKey(name string) events.Key {
	return events.Key{Resource: events.HTTPRoutes, Namespace: "shop", Name: name}
}

func sliceKey(name string) events.Key {
	return events.Key{Resource: events.EndpointSlices, Namespace: "shop", Name: name}
}
