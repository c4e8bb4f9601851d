package kube

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

func newRecorder(t *testing.T, api *rest.Config) *Recorder {
	t.Helper()
	r, err := NewRecorder(RecorderConfig{
		API: api, Controller: controller, Instance: "status-writer-0",
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func refused(note string) Event {
	return Event{
		Regarding: corev1.ObjectReference{APIVersion: "gateway.networking.k8s.io/v1", Kind: "HTTPRoute", Namespace: "default", Name: "r", UID: "u"},
		Related:   corev1.ObjectReference{APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway", Namespace: "default", Name: "gw"},
		Reason:    "NoMatchingParent", Action: "Attach", Note: note,
	}
}

func TestAnEventIsWrittenOnceAndThenCounted(t *testing.T) {
	cluster := gwtest.StartCluster(t)
	r := newRecorder(t, cluster.Config)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	defer running.Wait()
	defer cancel()
	// want waits for the Events that there are: their notes, and how often each happened.
	want := func(counts map[string]int32) []eventsv1.Event {
		t.Helper()
		var list eventsv1.EventList
		gwtest.Eventually(t, "Events", func() error {
			list = eventsv1.EventList{}
			if err := r.client.Get().Resource("events").Namespace("default").Do(t.Context()).Into(&list); err != nil {
				return err
			}
			got := map[string]int32{}
			for _, e := range list.Items {
				if got[e.Note]++; e.Series != nil {
					got[e.Note] += e.Series.Count - 1
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(counts) {
				return fmt.Errorf("they are %v, want %v", got, counts)
			}
			return nil
		})
		return list.Items
	}
	r.Record(refused("no such listener"))
	first := want(map[string]int32{"no such listener": 1})[0]
	if first.Regarding.UID != "u" || first.Related.Name != "gw" || first.Type != "Warning" || first.ReportingController != controller || first.Action != "Attach" {
		t.Errorf("it is %+v", first)
	}
	r.Record(refused("no such listener"))
	r.Record(refused("no such listener"))
	r.Record(refused("not allowed"))
	if items := want(map[string]int32{"no such listener": 3, "not allowed": 1}); len(items) != 2 {
		t.Errorf("there are %d Events", len(items))
	}
	// One that is no longer there is written again.
	if err := r.client.Delete().Resource("events").Namespace("default").Name(first.Name).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	r.Record(refused("no such listener"))
	want(map[string]int32{"no such listener": 1, "not allowed": 1})

	cluster.Stop()
	r.Record(refused("while the API server is away"))
	cluster.Start()
	want(map[string]int32{"no such listener": 1, "not allowed": 1, "while the API server is away": 1})

	// What is refused for good is dropped, and holds up no other.
	r.Record(Event{Regarding: corev1.ObjectReference{Kind: "HTTPRoute", Namespace: "nowhere", Name: "r"}, Reason: "R", Action: "A"})
	r.Record(refused("the last"))
	want(map[string]int32{"no such listener": 1, "not allowed": 1, "while the API server is away": 1, "the last": 1})
	if got := testutil.ToFloat64(r.dropped); got != 1 {
		t.Errorf("%v Events are dropped, want 1", got)
	}
}

func TestMoreEventsThanHaveRoomAreDropped(t *testing.T) {
	r := newRecorder(t, &rest.Config{Host: "http://127.0.0.1:1"})
	for i := range maxQueued + 3 {
		r.Record(refused(fmt.Sprint(i)))
	}
	if got := testutil.ToFloat64(r.dropped); got != 3 {
		t.Errorf("%v Events are dropped, want 3", got)
	}
	for i := range maxSeries + 10 {
		r.remember(refused(fmt.Sprint(i)), &series{})
	}
	if len(r.told) > maxSeries {
		t.Errorf("%d Events are remembered", len(r.told))
	}
}
