package ingest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
)

const manifest = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a, namespace: shop}
spec: {hostnames: [a.example]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s, namespace: shop}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}]
`

// directory is a rig whose source is files.
type directory struct {
	*rig
	reports chan []Problem
}

func newDirectory(t *testing.T) *directory {
	t.Helper()
	d := &directory{rig: newRig(t), reports: make(chan []Problem, 100)}
	t.Cleanup(d.log.Close)
	d.config.Dir = t.TempDir()
	d.config.Report = func(problems, _ []Problem) { d.reports <- problems }
	return d
}

func (d *directory) write(name, text string) {
	d.t.Helper()
	must(d.t, os.WriteFile(filepath.Join(d.config.Dir, name), []byte(text), 0o644))
}

func (d *directory) run() (stop func()) {
	ctx, cancel := context.WithCancel(d.t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, d.config, openManifests) }()
	return func() {
		d.t.Helper()
		cancel()
		must(d.t, <-done)
	}
}

// await waits until what is recorded from a sequence on ends with an event of a type.
func (d *directory) await(from uint64, last events.Type, key events.Key) []events.Event {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	var out []events.Event
	reader := d.config.Events.Reader(from)
	defer reader.Close()
	for {
		messages, err := reader.Next(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			d.t.Fatalf("recorded only %s", story(out))
		}
		must(d.t, err)
		for _, m := range messages {
			e, err := events.Decode(m)
			must(d.t, err)
			if out = append(out, e); e.Type == last && e.Key == key {
				return out
			}
		}
	}
}

// awaitList waits until the list that begins at from is complete.
func (d *directory) awaitList(from uint64) []events.Event {
	d.t.Helper()
	resources := manifestOrigin{}.resources()
	return d.await(from, events.TypeSyncDone, events.SyncKey(resources[len(resources)-2])) // endpoints are elsewhere
}

func TestADirectoryIsRecordedAndARestartOnlyWhatChanged(t *testing.T) {
	d := newDirectory(t)
	d.write("all.yaml", manifest)
	stop := d.run()
	d.awaitList(1)
	if problems := <-d.reports; len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	next := d.after(d.config.Events)
	d.write("bad.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\n")
	if problems := <-d.reports; len(problems) != 1 || problems[0].Where != "bad.yaml:1 (document 1)" {
		t.Errorf("problems %v", problems)
	}
	d.write("b.yaml", route("b", "b.example"))
	if got := story(d.await(next, events.ObjectApplied, routeKey("b"))); got != "applied httproutes/b" {
		t.Errorf("recorded %s", got)
	}
	stop()

	stored, err := readAccepted(t.Context(), d.config.Bucket)
	must(t, err)
	if len(stored.Documents) != 3 {
		t.Errorf("%d documents are known to be good, want 3", len(stored.Documents))
	}
	must(t, os.Remove(filepath.Join(d.config.Dir, "b.yaml")))
	next = d.after(d.config.Events)
	stop = d.run()
	if got, want := story(d.awaitList(next)), "epoch.opened, sync.started, deleted httproutes/b, sync.completed"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	stop()
}

func TestAnotherBuildValidatesEverythingAgain(t *testing.T) {
	d := newDirectory(t)
	bucket, ctx := d.config.Bucket, t.Context()
	documents := []manifests.Accepted{{Text: routing.DigestOf(), Key: routeKey("a"), Hash: routing.DigestOf()}}
	first := loadAccepted(ctx, bucket, d.config.Logger)
	first.save(ctx, bucket, documents)
	if same := loadAccepted(ctx, bucket, d.config.Logger); len(same.documents) != 1 {
		t.Errorf("the same build knows %v", same.documents)
	}
	first.build = "another"
	first.save(ctx, bucket, documents)
	if other := loadAccepted(ctx, bucket, d.config.Logger); len(other.documents) > 0 {
		t.Errorf("this build believes another about %v", other.documents)
	}
	must(t, bucket.Put(ctx, acceptedName, []byte("\nnonsense")))
	if damaged := loadAccepted(ctx, bucket, d.config.Logger); len(damaged.documents) > 0 || damaged.build == "" {
		t.Errorf("nonsense is read as %v", damaged.documents)
	}
}
