package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// pinRig is a rig on whose log versions were published.
type pinRig struct {
	*rig
	writer events.Writer
	state  *routing.State
}

func newPinRig(t *testing.T) *pinRig {
	r := &pinRig{rig: newRig(t), state: routing.NewState()}
	var err error
	r.config.Snapshots = r.stream(events.StreamSnapshots)
	r.config.Versions, err = r.log.Bucket(t.Context(), routing.CheckpointBucket)
	must(t, err)
	r.writer, err = r.config.Snapshots.Acquire(t.Context(), events.LeaseConfig{Cluster: "c", Holder: "p", Sole: true, Open: func(epoch uint64) events.Message {
		return events.Encode(events.Event{
			ID: fmt.Sprint(epoch), Type: events.TypeEpoch, Cluster: "c", Key: events.EpochKey(events.StreamSnapshots), Time: time.Now(), Epoch: epoch,
			Data: fmt.Appendf(nil, `{"epoch":%d,"holder":"p"}`, epoch),
		})
	}})
	must(t, err)
	t.Cleanup(func() { must(t, r.writer.Close(context.WithoutCancel(t.Context()))) })
	return r
}

// publish publishes a version in which the Gateway shop/gw has one resource, and the
// key of one Secret. It returns the digest.
func (r *pinRig) publish(sequence uint64, body string) string {
	r.t.Helper()
	snap := &routing.Snapshot{Version: events.Version{Incarnation: "I", Sequence: sequence}, Previous: r.state.Version, FoldVersion: 1, Time: time.Unix(int64(sequence), 0).UTC()}
	delta := routing.GatewayDelta{Gateway: "shop/gw"}
	for _, resource := range []routing.Resource{
		{ResourceName: routing.ResourceName{Type: "T", Name: "r"}, Body: []byte(body)},
		{ResourceName: routing.ResourceName{Type: "S", Name: "shop/cert"}, Body: []byte("chain"), Sealed: []byte("sealed"), Origin: events.Key{Resource: events.Secrets, Namespace: "shop", Name: "cert"}},
	} {
		resource.Digest = routing.DigestOf(resource.Body)
		delta.Digest = delta.Digest.Add(resource.ResourceName.Member(resource.Digest))
		delta.Changed = append(delta.Changed, resource)
	}
	snap.Gateways = []routing.GatewayDelta{delta}
	must(r.t, r.state.Apply(snap))
	messages, err := routing.EncodeSnapshot("c", snap, 512<<10)
	must(r.t, err)
	_, err = r.writer.AppendAtomic(r.t.Context(), messages...)
	must(r.t, err)
	return delta.Digest.String()
}

func pin(name, version, digest string) string {
	return fmt.Sprintf(`{apiVersion: rutter.dev/v1alpha1, kind: RoutingPin, metadata: {name: %s, namespace: shop}, spec: {gatewayRef: {name: gw}, version: %q, digest: %q}}
---
`, name, version, digest)
}

// answers are the parts that were recorded for RoutingPins.
func (r *pinRig) answers() []events.PinnedRouting {
	r.t.Helper()
	synctest.Wait()
	var out []events.PinnedRouting
	for _, e := range r.read(r.config.Events, 0) {
		if e.Type == events.TypePinned {
			var part events.PinnedRouting
			must(r.t, json.Unmarshal(e.Data, &part))
			out = append(out, part)
		}
	}
	return out
}

func TestWhatARoutingPinNamesIsRecordedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPinRig(t)
		digest := r.publish(7, "then")
		r.publish(9, "now")
		r.shelf.put(pin("gw", "I/7", digest))
		stop := r.start()
		parts := r.answers()
		if len(parts) != 1 || parts[0].Problem != nil || fmt.Sprint(parts[0].Secrets) != "[secrets/shop/cert]" {
			t.Fatalf("recorded is %+v", parts)
		}
		content, err := routing.DecodePinned(parts)
		must(t, err)
		g := content.Gateways["shop/gw"]
		if content.Version.Sequence != 7 || string(g.Resources[routing.ResourceName{Type: "T", Name: "r"}].Body) != "then" || g.Digest.String() != digest {
			t.Errorf("the content is %+v", content)
		}
		if len(g.Resources[routing.ResourceName{Type: "S", Name: "shop/cert"}].Sealed) > 0 {
			t.Error("a private key is recorded, if sealed")
		}
		must(t, stop())
		stop = r.start()
		if parts := r.answers(); len(parts) != 1 {
			t.Errorf("after a restart %d parts are recorded", len(parts))
		}
		r.shelf.remove(events.Key{Resource: events.RoutingPins, Namespace: "shop", Name: "gw"})
		time.Sleep(time.Minute)
		r.shelf.put(pin("gw", "I/7", digest))
		if parts := r.answers(); len(parts) != 2 {
			t.Errorf("made again, %d parts are recorded", len(parts))
		}
		must(t, stop())
	})
}

func TestWhatARoutingPinNamesInVainIsRecordedWithTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPinRig(t)
		digest := r.publish(7, "then")
		r.publish(9, "now")
		r.shelf.put(pin("a", "I/8", digest) + pin("b", "I/9", digest) + pin("c", "other/7", digest) + pin("d", "seven", digest) +
			strings.Replace(pin("e", "I/7", digest), "name: gw}", "name: none}", 1))
		stop := r.start()
		var reasons []string
		for _, part := range r.answers() {
			reasons = append(reasons, part.Problem.Reason)
		}
		if got := strings.Join(reasons, " "); got != "VersionUnknown DigestDiffers VersionUnknown VersionUnknown GatewayUnknown" {
			t.Errorf("the reasons are %s", got)
		}
		must(t, stop())
	})
}

func TestAVersionThatRetentionRemovedCannotBePinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPinRig(t)
		digest := r.publish(7, "then")
		time.Sleep(40 * 24 * time.Hour)
		r.publish(9, "now")
		r.shelf.put(pin("gw", "I/7", digest))
		stop := r.start()
		if parts := r.answers(); len(parts) != 1 || parts[0].Problem == nil {
			t.Errorf("recorded is %+v", parts)
		}
		must(t, stop())
	})
}

func TestWhatIsTooLargeForOneMessageIsRecordedInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPinRig(t)
		noise := make([]byte, 3<<20)
		for i, state := 0, uint32(1); i < len(noise); i++ {
			state = state*1664525 + 1013904223
			noise[i] = byte(state >> 24)
		}
		digest := r.publish(7, string(noise))
		r.shelf.put(pin("gw", "I/7", digest))
		stop := r.start()
		parts := r.answers()
		if len(parts) < 6 || parts[0].Parts != len(parts) {
			t.Fatalf("there are %d parts", len(parts))
		}
		content, err := routing.DecodePinned(parts)
		must(t, err)
		if got := content.Gateways["shop/gw"].Resources[routing.ResourceName{Type: "T", Name: "r"}].Body; string(got) != string(noise) {
			t.Error("the content differs")
		}
		must(t, stop())
	})
}
