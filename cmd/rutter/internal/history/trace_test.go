package history_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// serve appends a version of a Gateway of which sequence is the cause.
func (w *world) serve(sequence uint64, r routing.Resource) events.Version {
	w.t.Helper()
	info, err := w.events.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	g := routing.GatewayDelta{Gateway: "default/gw", Changed: []routing.Resource{r}}
	if before := w.state.Gateways[g.Gateway]; before != nil {
		g.Digest = before.Digest
		if old, had := before.Resources[r.ResourceName]; had {
			g.Digest = g.Digest.Sub(r.ResourceName.Member(old.Digest))
		}
	}
	g.Digest = g.Digest.Add(r.ResourceName.Member(r.Digest))
	s := &routing.Snapshot{
		Version: events.Version{Incarnation: info.Incarnation, Sequence: sequence}, Previous: w.state.Version,
		Causes: []uint64{sequence}, Gateways: []routing.GatewayDelta{g}, VerdictDigest: w.state.VerdictDigest,
	}
	messages, err := routing.EncodeSnapshot("local", s, 1<<20)
	if err == nil {
		_, err = w.snapshots.Publish(w.t.Context(), messages...)
	}
	if err == nil {
		err = w.state.Apply(s)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Version
}

func (w *world) report(envoys ...routing.EnvoyReceipt) {
	w.t.Helper()
	stream, err := w.log.Stream(w.t.Context(), events.StreamConfig{Name: events.StreamReceipts})
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := routing.EncodeReceipt("local", &routing.Receipt{Server: "x", Time: time.Now(), Envoys: envoys})
	if err == nil {
		m.ID = ""
		_, err = stream.Publish(w.t.Context(), m)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestAChangeIsTracedToEachEnvoy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		resource := func(body string) routing.Resource {
			return routing.Resource{ResourceName: routing.ResourceName{Type: "t", Name: "r"}, Body: []byte(body), Digest: routing.DigestOf([]byte(body))}
		}
		ahead := w.serve(w.recordAs(events.ObjectApplied, blamedRoute, recordedForm(start, nil)), resource("1"))
		old := routing.EnvoyReceipt{Node: "old", Gateway: "default/gw", Connected: start, Held: ahead, HeldAt: start}
		slow, other := old, old
		slow.Node, other.Node, other.Gateway = "slow", "other", "default/other"
		w.report(old, slow, other)
		<-time.After(time.Second)

		sequence := w.recordAs(events.ObjectApplied, blamedRoute, recordedForm(start, map[string]any{"a": 1}))
		<-time.After(10 * time.Millisecond)
		version := w.serve(sequence, resource("2"))
		<-time.After(10 * time.Millisecond)
		old.Held, old.HeldAt = version, time.Now()
		slow.Refused = []routing.Refusal{{ResourceName: resource("2").ResourceName, Digest: resource("2").Digest, Reason: "bad"}}
		w.report(old, slow, other)
		<-time.After(time.Second)
		later := w.serve(w.recordAs(events.ObjectApplied, events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "s"}, recordedForm(start, nil)), resource("3"))
		slow.Refused, slow.Held, slow.HeldAt = nil, later, time.Now()
		newcomer := routing.EnvoyReceipt{Node: "new", Gateway: "default/gw", Connected: time.Now(), Held: later, HeldAt: time.Now()}
		w.report(old, slow, other, newcomer)
		w.recordAs(events.ObjectBaseline, blamedRoute, recordedForm(start, map[string]any{"a": 1})) // no change

		trace, err := w.open().Trace(t.Context(), blamedRoute, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%d written %v observed %v published %v", trace.Sequence, trace.Written.Sub(start), trace.Time.Sub(start), trace.PublishedAt.Sub(start))
		for _, e := range trace.Envoys {
			got += fmt.Sprintf("\n%s held %v later %v joined %v refused %v", e.Node, e.Held.Sub(start), e.Later != "", e.Joined, e.Refused)
		}
		want := `2 written 0s observed 1s published 1.01s
new held 2.02s later true joined true refused []
old held 1.02s later false joined false refused []
slow held 2.02s later true joined false refused [r: bad]`
		if got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
		if first, err := w.open().Trace(t.Context(), blamedRoute, 1); err != nil || first.Sequence != 1 || first.Published != ahead.String() {
			t.Errorf("got %+v, %v", first, err)
		}
		if _, err := w.open().Trace(t.Context(), blamedRoute, 3); err == nil || !strings.Contains(err.Error(), "is about httproutes/default/s") && !strings.Contains(err.Error(), "is about httproute/default/s") {
			t.Errorf("got %v", err)
		}
	})
}
