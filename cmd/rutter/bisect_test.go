package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

const bisectedWorld = `{kind: GatewayClass, metadata: {name: rutter}, spec: {controllerName: rutter.dev/gateway-controller}}
---
{kind: Gateway, metadata: {namespace: default, name: web}, spec: {gatewayClassName: rutter, listeners: [{name: http, port: 80, protocol: HTTP}]}}
---
{kind: Service, metadata: {namespace: default, name: v1}, spec: {ports: [{port: 80}]}}
`

func routeTo(name, host, backend string) string {
	return fmt.Sprintf("{kind: HTTPRoute, metadata: {namespace: default, name: %s}, spec: {parentRefs: [{name: web}], hostnames: [%s], rules: [{backendRefs: [{name: %s, port: 80}]}]}}\n", name, host, backend)
}

// checkpoint stores the newest version, as the projector does now and then.
func (p *past) checkpoint() {
	p.t.Helper()
	bucket, err := p.log.Bucket(p.t.Context(), routing.CheckpointBucket)
	must(p.t, err)
	state, position := p.newest()
	must(p.t, routing.PutCheckpoint(p.t.Context(), bucket, position, state.Full()))
}

func TestBisectFindsTheChangeWhereverItIsAmongCheckpoints(t *testing.T) {
	const versions = 24
	for turn := 1; turn < versions; turn++ {
		p := newPast(t)
		p.step(bisectedWorld + "---\n" + routeTo("shop", "shop.example.com", "v1"))
		good := p.last()
		want := uint64(0)
		for i := range versions {
			if i == turn {
				p.step(routeTo("shop", "shop.example.com", "none"))
				want = p.last()
			} else {
				p.step(routeTo("other", fmt.Sprintf("h%d.example.com", i), "v1"))
			}
			if i%5 == 3 {
				p.checkpoint()
			}
		}
		var found bisected
		p.answers(&found, "bisect", "GET", "http://shop.example.com/", fmt.Sprintf("--good=%d", good), "-o=json")
		if found.Change == nil || found.Change.Sequence != want {
			t.Errorf("turned at %d, found %+v", want, found.Change)
		}
		if found.Tried > 2+3+1 { // both ends, three of five checkpoints, and the one that touches it
			t.Errorf("tried %d versions", found.Tried)
		}
	}
}

// last is the sequence of the last event.
func (p *past) last() uint64 {
	p.t.Helper()
	info, err := p.events.Info(p.t.Context())
	must(p.t, err)
	return info.Last
}

// answers reads what a command prints, which has to succeed.
func (p *past) answers(into any, args ...string) {
	p.t.Helper()
	out, code := p.rutter(args...)
	if code != exitFine {
		p.t.Fatalf("rutter %s: exit code %d: %s", strings.Join(args, " "), code, out)
	}
	p.decode(out, into)
}

func (p *past) decode(text string, into any) {
	p.t.Helper()
	must(p.t, json.Unmarshal([]byte(text), into))
}

func TestBisectSaysWhichChangesItCannotTellApart(t *testing.T) {
	p := newPast(t)
	p.step(bisectedWorld)
	good := p.last()
	// A new epoch lists everything: nothing is published before that.
	p.record(events.TypeEpoch, events.EpochKey(events.StreamEvents), events.EpochOpened{Epoch: 2, Holder: "test"})
	for _, resource := range p.engine.State().Settings.Resources {
		if resource == events.HTTPRoutes {
			p.apply(routeTo("shop", "shop.example.com", "v1"))
			p.apply(routeTo("other", "other.example.com", "v1"))
		}
		p.record(events.TypeSyncDone, events.SyncKey(resource), events.Sync{Resource: resource})
	}
	p.publish()
	out, code := p.rutter("bisect", "GET", "http://shop.example.com/", fmt.Sprintf("--good=%d", good))
	for _, want := range []string{"they were published together once everything was listed", "applied httproute/default/shop", "Answer     default/v1/80"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing says %q (exit code %d):\n%s", want, code, out)
		}
	}
}
