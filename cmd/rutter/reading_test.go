package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/golden"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// TestReadingCommands tells stories: each step (a section step/…) is applied a
// minute after the one before and published as a version, then the commands run.
// A step is YAML documents, or lines "delete kind/namespace/name", or "pin SEQUENCE" of
// the Gateway default/gw, or "clock -1h", by which that of ingest is set, or "forget", after
// which retention has removed all versions up to then, and there is a checkpoint of the last.
func TestReadingCommands(t *testing.T) {
	golden.Run(t, "testdata/reading/*.txtar", func(t *testing.T, a *golden.Archive) {
		past := newPast(t)
		past.files(a)
		for _, name := range a.Inputs("step/*") {
			past.step(string(a.Input(name)))
		}
		var out strings.Builder
		for line := range strings.Lines(string(a.Input("commands"))) {
			line = strings.TrimSpace(line)
			stdout, code := past.rutter(strings.Fields(line)...)
			fmt.Fprintf(&out, "$ rutter %s\n%s= %d\n\n", line, stdout, code)
		}
		a.Expect("output", []byte(strings.TrimSuffix(out.String(), "\n")))
	})
}

// files writes the sections file/NAME into a directory, for which FILES stands in
// commands. The section stdin is their standard input.
func (p *past) files(a *golden.Archive) {
	p.t.Helper()
	p.dir = p.t.TempDir()
	for _, name := range a.Inputs("file/*") {
		must(p.t, os.WriteFile(filepath.Join(p.dir, strings.TrimPrefix(name, "file/")), a.Input(name), 0o600))
	}
	for range a.Inputs("stdin") {
		p.stdin = a.Input("stdin")
	}
}

// past is a log with a projector on it, in memory.
type past struct {
	t                 *testing.T
	log               *memlog.Log
	events, snapshots events.Stream
	engine            *replay.Engine
	incarnation       string
	now               time.Time
	generations       map[events.Key]int
	dir               string // of files
	stdin             []byte
}

func newPast(t *testing.T) *past {
	t.Helper()
	p := &past{t: t, log: memlog.New(memlog.Config{}), now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), generations: map[events.Key]int{}}
	t.Cleanup(p.log.Close)
	for _, c := range events.Streams(1) {
		c.MaxAge = 0 // the story has its own time
		s, err := p.log.Stream(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		switch c.Name {
		case events.StreamEvents:
			p.events = s
		case events.StreamSnapshots:
			p.snapshots = s
		}
	}
	info, err := p.events.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.incarnation = info.Incarnation
	p.engine = replay.New(info.Incarnation)
	resources := []string{
		events.GatewayClasses, events.Gateways, events.HTTPRoutes, events.ReferenceGrants, events.Services, events.Secrets, events.Namespaces,
	}
	p.record(events.TypeEpoch, events.EpochKey(events.StreamEvents), events.EpochOpened{Epoch: 1, Holder: "test", Settings: &events.Settings{
		ControllerName: "rutter.dev/gateway-controller", Resources: resources, ListenAddress: "127.0.0.1", RouteLayout: "scoped",
	}})
	for _, resource := range resources {
		p.record(events.TypeSyncDone, events.SyncKey(resource), events.Sync{Resource: resource})
	}
	return p
}

func (p *past) record(kind events.Type, key events.Key, payload any) {
	p.t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		p.t.Fatal(err)
	}
	e := events.Event{ID: fmt.Sprintf("%s/%d", key, p.generations[key]), Type: kind, Cluster: "local", Key: key, Time: p.now, Epoch: 1, Data: data}
	message := events.Encode(e)
	message.ID = ""
	if e.Sequence, err = p.events.Publish(p.t.Context(), message); err == nil {
		err = p.engine.Fold(e)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *past) step(text string) {
	p.t.Helper()
	for doc := range strings.SplitSeq(text, "---\n") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(doc), "delete "); ok {
			key, err := events.ParseKey(name)
			if err != nil {
				p.t.Fatal(err)
			}
			p.record(events.ObjectDeleted, key, map[string]any{})
			continue
		}
		if version, ok := strings.CutPrefix(strings.TrimSpace(doc), "pin "); ok {
			p.pin(version)
			continue
		}
		if by, ok := strings.CutPrefix(strings.TrimSpace(doc), "clock "); ok {
			d, err := time.ParseDuration(by)
			must(p.t, err)
			p.now = p.now.Add(d)
			continue
		}
		if strings.TrimSpace(doc) == "forget" {
			p.forget()
			continue
		}
		p.apply(doc)
	}
	p.publish()
	p.now = p.now.Add(time.Minute)
}

// forget has retention remove what was published so far.
func (p *past) forget() {
	p.t.Helper()
	ctx := p.t.Context()
	bucket, err := p.log.Bucket(ctx, routing.CheckpointBucket)
	must(p.t, err)
	info, err := p.snapshots.Info(ctx)
	must(p.t, err)
	follower, err := routing.Follow(ctx, p.snapshots, bucket)
	must(p.t, err)
	defer follower.Close()
	state, err := follower.Load(ctx)
	must(p.t, err)
	must(p.t, routing.PutCheckpoint(ctx, bucket, events.Version{Incarnation: info.Incarnation, Sequence: info.Last}, state.Full()))
	for _, age := range []time.Duration{time.Nanosecond, 0} {
		_, err = p.log.Stream(ctx, events.StreamConfig{Name: events.StreamSnapshots, Subjects: snapshotSubjects(), MaxAge: age})
		must(p.t, err)
		_, err = p.snapshots.Info(ctx)
		must(p.t, err)
	}
}

func snapshotSubjects() []string {
	for _, c := range events.Streams(1) {
		if c.Name == events.StreamSnapshots {
			return c.Subjects
		}
	}
	return nil
}

// apply records one YAML document.
func (p *past) apply(doc string) {
	p.t.Helper()
	var o struct {
		Kind     string
		Metadata struct{ Namespace, Name string }
	}
	var object map[string]any
	if err := errors.Join(yaml.Unmarshal([]byte(doc), &o), yaml.Unmarshal([]byte(doc), &object)); err != nil {
		p.t.Fatal(err)
	}
	key := events.Key{Resource: strings.Replace(strings.ToLower(o.Kind)+"s", "classs", "classes", 1), Namespace: o.Metadata.Namespace, Name: o.Metadata.Name}
	p.generations[key]++
	metadata := object["metadata"].(map[string]any)
	metadata["uid"], metadata["generation"] = key.String(), p.generations[key]
	metadata["creationTimestamp"] = "2026-11-01T12:00:00Z"
	p.record(events.ObjectApplied, key, object)
}

// publish publishes what was recorded as a version.
func (p *past) publish() {
	p.t.Helper()
	if s := p.engine.Project(); s != nil {
		messages, err := routing.EncodeSnapshot("local", s, 1<<20)
		if err == nil {
			_, err = p.snapshots.Publish(p.t.Context(), messages...)
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// rutter runs a command on the log and returns what it printed, errors last, and
// its exit code. An argument INCARNATION stands for that of the log.
func (p *past) rutter(args ...string) (string, int) {
	var out, failed bytes.Buffer
	env := environment{in: bytes.NewReader(p.stdin), out: &out, err: &failed, now: func() time.Time { return p.now }, open: func(context.Context, source) (events.Log, error) {
		return unclosed{p.log}, nil
	}}
	for i := range args {
		args[i] = strings.ReplaceAll(strings.ReplaceAll(args[i], "INCARNATION", p.incarnation), "FILES", p.dir)
	}
	if !strings.Contains(strings.Join(args, " "), "--data-dir") && !strings.Contains(strings.Join(args, " "), "--nowhere") {
		args = append(args, "--data-dir=x")
	}
	for i := range args {
		if args[i] == "--nowhere" {
			args = append(args[:i], args[i+1:]...)
			break
		}
	}
	code := run(p.t.Context(), env, args)
	said := strings.ReplaceAll(out.String()+failed.String(), p.incarnation, "INCARNATION")
	if p.dir != "" {
		said = strings.ReplaceAll(said, p.dir, "FILES")
	}
	return said, code
}

// unclosed outlives the commands of a story.
type unclosed struct{ events.Log }

func (unclosed) Close() {}
