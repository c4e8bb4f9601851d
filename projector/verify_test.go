package projector_test

import (
	"context"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// recorded is a log with a few versions of which the last routes.
func recorded(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.list()
	stop := r.project(0)
	r.reach(r.last)
	r.route("r1", "web")
	r.reach(r.last)
	r.route("r2", "api")
	r.reach(r.last)
	r.route("r1", "api")
	r.reach(r.last)
	stop()
	return r
}

// copyOf is a stream with the same messages, as alter changed them.
func copyOf(t *testing.T, from events.Stream, name string, alter func(*events.Message)) events.Stream {
	t.Helper()
	log := memlog.New(memlog.Config{})
	t.Cleanup(log.Close)
	to, err := log.Stream(t.Context(), events.StreamConfig{Name: name, Subjects: []string{"rutter.>"}})
	must(t, err)
	info, err := from.Info(t.Context())
	must(t, err)
	for sequence := uint64(1); sequence <= info.Last; sequence++ {
		m, err := from.Get(t.Context(), sequence)
		must(t, err)
		alter(&m)
		_, err = to.Publish(t.Context(), m)
		must(t, err)
	}
	return incarnated{to, info.Incarnation}
}

// incarnated is a copied stream under the incarnation of the original.
type incarnated struct {
	events.Stream
	incarnation string
}

func (s incarnated) Info(ctx context.Context) (events.StreamInfo, error) {
	info, err := s.Stream.Info(ctx)
	info.Incarnation = s.incarnation
	return info, err
}

func verify(t *testing.T, r *rig, stream, snapshots events.Stream) *replay.Report {
	t.Helper()
	info, err := stream.Info(t.Context())
	must(t, err)
	follower := routing.FollowFrom(snapshots, events.Version{})
	defer follower.Close()
	report, err := replay.Verify(t.Context(), replay.Log{Events: stream, Snapshots: snapshots, Start: fold.NewState(info.Incarnation), Versions: follower}, func(replay.Report) {})
	must(t, err)
	return report
}

func TestVerifyFindsNothingInALogThatIsAsItWasWritten(t *testing.T) {
	r := recorded(t)
	report := verify(t, r, r.events, r.snapshots)
	if len(report.Findings) != 0 || report.Versions != 4 || report.Scratch != 4 {
		t.Fatalf("report %+v, want 4 versions, all compared from nothing too, and no finding", report)
	}
}

func TestVerifyFindsAnAlteredField(t *testing.T) {
	// rewrite decodes one version, changes it and stores it again.
	rewrite := func(m *events.Message, change func(*routing.Snapshot)) {
		var parts routing.Assembler
		snap, err := parts.Add(*m)
		if err != nil || snap == nil || len(snap.Gateways) == 0 {
			return
		}
		change(snap)
		encoded, err := routing.EncodeSnapshot("local", snap, 512<<10)
		must(t, err)
		m.Data, m.Header = encoded[0].Data, encoded[0].Header
	}
	unchanged := func(*events.Message) {}
	stories := []struct {
		name            string
		event, snapshot func(*events.Message)
		want            string
	}{
		{
			name:  "of a resource in a snapshot",
			event: unchanged,
			snapshot: func(m *events.Message) {
				rewrite(m, func(s *routing.Snapshot) { s.Gateways[0].Changed[0].Body[5] ^= 1 })
			},
			want: "the digest does not match the content",
		},
		{
			name:     "of a verdict in a snapshot",
			event:    unchanged,
			snapshot: func(m *events.Message) { rewrite(m, func(s *routing.Snapshot) { s.Verdicts[0].Generation++ }) },
			want:     "verdicts: the digest does not match the content",
		},
		{
			name: "of an event that routing depends on",
			event: func(m *events.Message) {
				m.Data = []byte(strings.Replace(string(m.Data), `"name":"api","port":80`, `"name":"web","port":80`, 1))
			},
			snapshot: unchanged,
			want:     "an event was altered, lost or moved",
		},
		{
			name: "of an event that routing does not depend on",
			event: func(m *events.Message) {
				m.Data = []byte(strings.Replace(string(m.Data), `"uid":"web"`, `"uid":"wob"`, 1))
			},
			snapshot: unchanged,
			want:     "an event was altered, lost or moved",
		},
		{
			// What a projector with another rule would have published: whole and with
			// digests that come out, but not what these events mean.
			name:  "of a projection rule",
			event: unchanged,
			snapshot: func(m *events.Message) {
				rewrite(m, func(s *routing.Snapshot) {
					g := &s.Gateways[0]
					r := &g.Changed[len(g.Changed)-1]
					g.Digest = g.Digest.Sub(r.ResourceName.Member(r.Digest))
					r.Body = append(r.Body, r.Body...)
					r.Digest = routing.DigestOf(r.Body)
					g.Digest = g.Digest.Add(r.ResourceName.Member(r.Digest))
				})
			},
			want: "refolding gives other content than was published",
		},
	}
	for _, story := range stories {
		t.Run(story.name, func(t *testing.T) {
			r := recorded(t)
			altered := 0
			last := r.published()
			snapshots := copyOf(t, r.snapshots, events.StreamSnapshots, func(m *events.Message) {
				if m.Sequence == last {
					story.snapshot(m)
				}
			})
			stream := copyOf(t, r.events, events.StreamEvents, func(m *events.Message) {
				before := string(m.Data)
				if altered == 0 {
					story.event(m)
				}
				if before != string(m.Data) {
					altered++
				}
			})
			report := verify(t, r, stream, snapshots)
			for _, f := range report.Findings {
				if strings.Contains(f.Detail, story.want) {
					return
				}
			}
			t.Fatalf("findings %+v, want one that says %q", report.Findings, story.want)
		})
	}
}
