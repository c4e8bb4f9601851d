package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// past is the log of a month: routes with their own hostname and Service, of which one
// after the other changes, and slices of 20 endpoints that change as often. What it
// holds is what ingest and the projector would have written, bursts of one to eight
// events a version, with a checkpoint every 10,000 events. It is written in large
// batches, by the engine that the projector runs.
type past struct {
	log                          *natslog.Log
	url                          string
	events, endpoints, snapshots *appender
	folds, versions              events.Bucket

	random *rand.Rand
	engine *replay.Engine
	state  *routing.State
	now    time.Time
	step   time.Duration
	routes int
	// generation of each route, 0 for one that is deleted.
	generation []int
	turned     uint64 // the event after which the victim went elsewhere
}

const (
	checkpointEvery = 10_000
	// victim is the route that changes once.
	victim = 0
)

// appender writes to a stream in large batches.
type appender struct {
	stream  events.Stream
	writer  events.Writer
	pending []events.Message
	last    uint64 // with those that are pending
}

func (a *appender) add(ctx context.Context, list ...events.Message) error {
	a.pending = append(a.pending, list...)
	a.last += uint64(len(list))
	if len(a.pending) < 900 {
		return nil
	}
	return a.flush(ctx)
}

func (a *appender) flush(ctx context.Context) error {
	if len(a.pending) == 0 {
		return nil
	}
	last, err := a.writer.AppendAtomic(ctx, a.pending...)
	if err == nil && last != a.last {
		err = fmt.Errorf("%d was appended as %d", a.last, last)
	}
	a.pending = a.pending[:0]
	return err
}

// openAppender opens the first epoch of a stream, which is its first message.
func openAppender(ctx context.Context, s events.Stream, name string, opened []byte) (*appender, error) {
	w, err := s.Acquire(ctx, events.LeaseConfig{Cluster: "bench", Holder: "bench", Sole: true, Open: func(epoch uint64) events.Message {
		return events.Encode(epochEvent(name, opened))
	}})
	return &appender{stream: s, writer: w, last: 1}, err
}

func epochEvent(stream string, opened []byte) events.Event {
	return events.Event{
		ID: "epoch/1", Type: events.TypeEpoch, Cluster: "bench", Key: events.EpochKey(stream), Time: monthBegins(), Epoch: 1, Data: opened, Sequence: 1,
	}
}

func monthBegins() time.Time { return time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC) }

// settings are those that the log says.
func settings() *events.Settings {
	return &events.Settings{ControllerName: "rutter.dev/gateway-controller", Resources: resources(), ListenAddress: "127.0.0.1", RouteLayout: "scoped"}
}

func resources() []string {
	return []string{events.GatewayClasses, events.Gateways, events.HTTPRoutes, events.ReferenceGrants, events.Services, events.Secrets, events.Namespaces}
}

// openPast opens the log in dir, or writes it where there is none.
func openPast(ctx context.Context, dir string, routes, total int, say func(string, ...any)) (*past, error) {
	p := &past{random: rand.New(rand.NewPCG(1, 2)), state: routing.NewState(), routes: routes, generation: make([]int, routes)}
	_, err := os.Stat(filepath.Join(dir, "complete"))
	known := err == nil
	if p.log, err = natslog.StartServer(ctx, natslog.ServerConfig{Dir: dir, Share: true, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	url, err := os.ReadFile(filepath.Join(dir, natslog.OwnerFile))
	if err != nil {
		return nil, err
	}
	p.url = strings.TrimSpace(string(url))
	if known {
		text, err := os.ReadFile(filepath.Join(dir, "complete"))
		if err == nil {
			_, err = fmt.Sscan(string(text), &p.turned)
		}
		return p, err
	}
	if err := p.open(ctx, total); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := p.write(ctx, total); err != nil {
		return nil, err
	}
	say("%d events and %d versions written in %v", total, p.snapshots.last, time.Since(began).Round(time.Second))
	return p, os.WriteFile(filepath.Join(dir, "complete"), fmt.Append(nil, p.turned), 0o600)
}

func (p *past) open(ctx context.Context, total int) error {
	const month = 30 * 24 * time.Hour
	p.step, p.now = month/time.Duration(total), monthBegins()
	opened, err := json.Marshal(events.EpochOpened{Epoch: 1, Holder: "bench", Settings: settings()})
	if err != nil {
		return err
	}
	for _, c := range events.Streams(1) {
		s, err := p.log.Stream(ctx, c)
		if err != nil {
			return err
		}
		into := map[string]**appender{events.StreamEvents: &p.events, events.StreamEndpoints: &p.endpoints, events.StreamSnapshots: &p.snapshots}[c.Name]
		if into == nil {
			continue
		}
		if *into, err = openAppender(ctx, s, c.Name, opened); err != nil {
			return err
		}
	}
	info, err := p.events.stream.Info(ctx)
	if err != nil {
		return err
	}
	p.engine = replay.New(info.Incarnation)
	if err := p.engine.Fold(epochEvent(events.StreamEvents, opened)); err != nil {
		return err
	}
	if p.folds, err = p.log.Bucket(ctx, projector.FoldBucket); err != nil {
		return err
	}
	p.versions, err = p.log.Bucket(ctx, routing.CheckpointBucket)
	return err
}

// write records so many events in all.
func (p *past) write(ctx context.Context, total int) error {
	objects := []map[string]any{
		{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": map[string]any{"name": "rutter"}, "spec": map[string]any{"controllerName": "rutter.dev/gateway-controller"}},
		{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": map[string]any{"namespace": "default", "name": "gw"},
			"spec": map[string]any{"gatewayClassName": "rutter", "listeners": []any{map[string]any{"name": "http", "port": 80, "protocol": "HTTP"}}}},
	}
	keys := []events.Key{{Resource: events.GatewayClasses, Name: "rutter"}, {Resource: events.Gateways, Namespace: "default", Name: "gw"}}
	for i, o := range objects {
		if err := p.apply(ctx, keys[i], o); err != nil {
			return err
		}
	}
	for i := range p.routes {
		if err := p.service(ctx, i); err != nil {
			return err
		}
		if err := p.change(ctx, i); err != nil {
			return err
		}
		if err := p.slice(ctx, i); err != nil {
			return err
		}
	}
	for _, resource := range resources() {
		if err := p.record(ctx, events.TypeSyncDone, events.SyncKey(resource), events.Sync{Resource: resource}); err != nil {
			return err
		}
	}
	if err := p.publish(ctx); err != nil {
		return err
	}
	checkpoint := uint64(0)
	for p.events.last+p.endpoints.last < uint64(total) {
		for range 1 + p.random.IntN(8) {
			if err := p.churn(ctx, total); err != nil {
				return err
			}
		}
		if err := p.publish(ctx); err != nil {
			return err
		}
		if p.events.last >= checkpoint+checkpointEvery {
			checkpoint = p.events.last
			if err := p.checkpoint(ctx); err != nil {
				return err
			}
		}
	}
	for _, a := range []*appender{p.events, p.endpoints, p.snapshots} {
		if err := a.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// churn changes one route and one slice. Of a hundred changes one deletes a route,
// which comes back with the next one.
func (p *past) churn(ctx context.Context, total int) error {
	i := 1 + p.random.IntN(p.routes-1)
	if p.turned == 0 && p.events.last > max(13_000, uint64(total)*37/200) {
		i = victim
	}
	if err := p.slice(ctx, i); err != nil {
		return err
	}
	if i != victim && p.generation[i] > 0 && p.random.IntN(100) == 0 {
		p.generation[i] = 0
		return p.record(ctx, events.ObjectDeleted, routeKey(i), map[string]any{})
	}
	if err := p.change(ctx, i); err != nil {
		return err
	}
	if i == victim {
		p.turned = p.events.last
	}
	return nil
}

func routeKey(i int) events.Key {
	return events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: fmt.Sprintf("r%d", i)}
}

// change records a route that has not been so before.
func (p *past) change(ctx context.Context, i int) error {
	p.generation[i]++
	name := fmt.Sprintf("r%d", i)
	return p.apply(ctx, routeKey(i), map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
		"metadata": p.metadata(name, p.generation[i]),
		"spec": map[string]any{
			"parentRefs": []any{map[string]any{"name": "gw"}}, "hostnames": []any{name + ".example.com"},
			"rules": []any{
				map[string]any{
					"matches":     []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}},
					"backendRefs": []any{map[string]any{"name": name, "port": 80, "weight": p.generation[i]}, map[string]any{"name": "r1", "port": 80, "weight": 1}},
				},
			},
		},
	})
}

func (p *past) service(ctx context.Context, i int) error {
	name := fmt.Sprintf("r%d", i)
	return p.apply(ctx, events.Key{Resource: events.Services, Namespace: "default", Name: name}, map[string]any{
		"apiVersion": "v1", "kind": "Service", "metadata": p.metadata(name, 1), "spec": map[string]any{"ports": []any{map[string]any{"name": "http", "port": 80}}},
	})
}

func (p *past) metadata(name string, generation int) map[string]any {
	return map[string]any{"namespace": "default", "name": name, "generation": generation, "annotations": map[string]any{"note": padding}, "managedFields": []any{
		map[string]any{"manager": "bench", "operation": "Update", "time": p.now.Format(time.RFC3339)},
	}}
}

func (p *past) apply(ctx context.Context, key events.Key, object map[string]any) error {
	metadata := object["metadata"].(map[string]any)
	metadata["uid"], metadata["resourceVersion"] = key.String(), fmt.Sprint(p.events.last+1)
	metadata["creationTimestamp"] = "2026-10-01T00:00:00Z"
	return p.record(ctx, events.ObjectApplied, key, object)
}

func (p *past) record(ctx context.Context, kind events.Type, key events.Key, payload any) error {
	p.now = p.now.Add(p.step)
	data, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	e := events.Event{ID: fmt.Sprintf("%s/%d", key, p.events.last+1), Type: kind, Cluster: "bench", Key: key, Time: p.now, Epoch: 1, Data: data}
	m := events.Encode(e)
	if err := p.events.add(ctx, m); err != nil {
		return err
	}
	e.Sequence = p.events.last
	return p.engine.Fold(e)
}

// slice records the 20 endpoints of a Service, of which one has changed.
func (p *past) slice(ctx context.Context, i int) error {
	p.now = p.now.Add(p.step)
	var endpoints []any
	for n := range 20 {
		endpoints = append(endpoints, map[string]any{
			"addresses":  []any{fmt.Sprintf("10.%d.%d.%d", p.random.IntN(200), i%250, n)},
			"conditions": map[string]any{"ready": true, "serving": true, "terminating": false},
			"nodeName":   fmt.Sprintf("node-%d", n), "targetRef": map[string]any{"kind": "Pod", "namespace": "default", "name": fmt.Sprintf("r%d-%d", i, n)},
		})
	}
	key := events.Key{Resource: events.EndpointSlices, Namespace: "default", Name: fmt.Sprintf("r%d-x", i)}
	data, err := json.Marshal(map[string]any{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
		"metadata":  map[string]any{"namespace": "default", "name": key.Name, "labels": map[string]any{"kubernetes.io/service-name": fmt.Sprintf("r%d", i)}},
		"ports":     []any{map[string]any{"name": "http", "port": 8080, "protocol": "TCP"}},
		"endpoints": endpoints,
	})
	if err != nil {
		return err
	}
	return p.endpoints.add(ctx, events.Encode(events.Event{
		ID: fmt.Sprintf("%s/%d", key, p.endpoints.last), Type: events.ObjectApplied, Cluster: "bench", Key: key, Time: p.now, Epoch: 1, Data: data,
	}))
}

// publish appends a version, if anything changed.
func (p *past) publish(ctx context.Context) error {
	s := p.engine.Project()
	if s == nil {
		return nil
	}
	if err := p.state.Apply(s); err != nil {
		return err
	}
	messages, err := routing.EncodeSnapshot("bench", s, 512<<10)
	if err != nil {
		return err
	}
	return p.snapshots.add(ctx, messages...)
}

// checkpoint stores both states, as the projector does.
func (p *past) checkpoint(ctx context.Context) error {
	if err := p.events.flush(ctx); err != nil {
		return err
	}
	if err := p.snapshots.flush(ctx); err != nil {
		return err
	}
	state := p.engine.State()
	data, encoding, err := routing.MarshalStream(state.Write)
	if err != nil {
		return err
	}
	if err := p.folds.Put(ctx, fmt.Sprintf("%s/%020d", state.Version.Incarnation, state.Version.Sequence), append([]byte(encoding+"\n"), data...)); err != nil {
		return err
	}
	info, err := p.snapshots.stream.Info(ctx)
	if err != nil {
		return err
	}
	return routing.PutCheckpoint(ctx, p.versions, events.Version{Incarnation: info.Incarnation, Sequence: info.Last}, p.state.Full())
}
