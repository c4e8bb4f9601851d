package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// written is a recorder, and what the API server has of it.
type written struct {
	*testing.T
	*Recorder
	log bytes.Buffer // to be read when the recorder has ended
}

func newRecorder(t *testing.T, api *rest.Config) *written {
	t.Helper()
	w := &written{T: t}
	var err error
	w.Recorder, err = NewRecorder(RecorderConfig{
		API: api, Instance: t.Name(), Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.NewJSONHandler(&w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// start runs the recorder until stop is called.
func (w *written) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Recorder.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.Cleanup(stop)
	return stop
}

// want waits for the Events of this recorder: their notes, and how often each happened.
func (w *written) want(counts map[string]int32) []eventsv1.Event {
	w.Helper()
	var list eventsv1.EventList
	gwtest.Eventually(w, "Events", func() error {
		list = eventsv1.EventList{}
		if err := w.client.Get().Resource("events").Namespace("default").Do(w.Context()).Into(&list); err != nil {
			return err
		}
		list.Items = slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool { return e.ReportingInstance != w.instance })
		got := map[string]int32{}
		for i := range list.Items {
			e := &list.Items[i]
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

func refused(note string) Event {
	return Event{
		Object: routeKey("r"), UID: "u", Generation: 7,
		Related: corev1.ObjectReference{APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway", Namespace: "default", Name: "gw"},
		Reason:  "NoMatchingParent", Action: "Attach", Note: note,
	}
}

func TestEventsOnARealAPIServer(t *testing.T) {
	cluster := gwtest.StartCluster(t)
	for name, test := range map[string]func(*testing.T, *rest.Config){
		"of any object": eventsOfAnyObject, "of which the answer was lost": eventOfWhichTheAnswerWasLost,
		"with words that change all the time": wordsThatChangeAllTheTime, "that wait at the end": eventsThatWaitAtTheEnd,
	} {
		t.Run(name, func(t *testing.T) { test(t, cluster.Config) })
	}
	t.Run("written once and then counted", func(t *testing.T) { writtenOnceAndThenCounted(t, cluster) })
}

func writtenOnceAndThenCounted(t *testing.T, cluster *gwtest.Cluster) {
	w := newRecorder(t, cluster.Config)
	stop := w.start()
	w.Record(refused("no such listener"))
	first := w.want(map[string]int32{"no such listener": 1})[0]
	if first.Regarding.UID != "u" || first.Regarding.Kind != "HTTPRoute" || first.Related.Name != "gw" || first.Type != "Warning" ||
		first.ReportingController != reporter || first.Action != "Attach" {
		t.Errorf("it is %+v", first)
	}
	again := refused("no such listener")
	again.Generation++
	w.Record(again)
	w.Record(refused("no such listener"))
	w.Record(refused("not allowed"))
	if items := w.want(map[string]int32{"no such listener": 3, "not allowed": 1}); len(items) != 2 {
		t.Errorf("there are %d Events", len(items))
	}
	// One that is no longer there is written again.
	if err := w.client.Delete().Resource("events").Namespace("default").Name(first.Name).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	w.Record(refused("no such listener"))
	w.want(map[string]int32{"no such listener": 1, "not allowed": 1})

	cluster.Stop()
	before := time.Now()
	w.Record(refused("while the API server is away"))
	happened := time.Now()
	cluster.Start()
	want := map[string]int32{"no such listener": 1, "not allowed": 1, "while the API server is away": 1}
	items := w.want(want)
	for i := range items {
		if at := items[i].EventTime; items[i].Note == "while the API server is away" && (at.Time.Before(before.Truncate(time.Microsecond)) || at.After(happened)) {
			t.Errorf("it happened at %s, between %s and %s", at, before, happened)
		}
	}

	// What is refused for good is dropped, and holds up no other.
	gone := refused("")
	gone.Object.Namespace = "nowhere"
	w.Record(gone)
	w.Record(refused("the last"))
	want["the last"] = 1
	w.want(want)
	if got := testutil.ToFloat64(w.dropped); got != 1 {
		t.Errorf("%v Events are dropped, want 1", got)
	}
	stop()
	var line map[string]any
	if err := json.Unmarshal(w.log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	delete(line, "time")
	delete(line, "error")
	if got, want := fmt.Sprint(line), fmt.Sprint(map[string]any{
		"level": "WARN", "msg": "a Kubernetes Event is not written", "resource": events.HTTPRoutes, "namespace": "nowhere", "name": "r", "generation": 7, "retryCount": 0,
	}); got != want {
		t.Errorf("the log says %s, want %s", got, want)
	}
}

func eventsOfAnyObject(t *testing.T, api *rest.Config) {
	w := newRecorder(t, api)
	w.start()
	for _, test := range []struct {
		about string
		key   events.Key
	}{
		{"a name of 253 characters", routeKey(strings.Repeat("a.", 126) + "a")},
		{"a name that is cut at a dot", routeKey(strings.Repeat("a", 235) + "." + strings.Repeat("b", 17))},
		{"an object of the cluster", events.Key{Resource: events.GatewayClasses, Name: "rutter"}},
		{"an object of another group", events.Key{Resource: events.RoutingPins, Namespace: "default", Name: "pin"}},
	} {
		e := refused(test.about)
		e.Object = test.key
		w.Record(e)
	}
	long := refused(note(strings.Repeat("é", 1000)))
	w.Record(long)
	w.want(map[string]int32{
		"a name of 253 characters": 1, "a name that is cut at a dot": 1, "an object of the cluster": 1, "an object of another group": 1, long.Note: 1,
	})
}

func eventOfWhichTheAnswerWasLost(t *testing.T, api *rest.Config) {
	api = rest.CopyConfig(api)
	var lost atomic.Int32
	api.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(request *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(request)
			if err == nil && request.Method != http.MethodGet && lost.Add(1)%2 == 1 {
				return nil, errors.Join(errors.New("the connection broke"), response.Body.Close())
			}
			return response, err
		})
	})
	w := newRecorder(t, api)
	w.start()
	w.Record(refused("created"))
	w.want(map[string]int32{"created": 1})
	gwtest.Eventually(t, "another try", func() error {
		if n := lost.Load(); n < 2 {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
	w.Record(refused("last"))
	w.want(map[string]int32{"created": 1, "last": 1})
	if got := testutil.ToFloat64(w.dropped); got != 0 {
		t.Errorf("%v Events are dropped", got)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func wordsThatChangeAllTheTime(t *testing.T, api *rest.Config) {
	w := newRecorder(t, api)
	w.start()
	const surplus = 5
	want := map[string]int32{}
	for i := range maxNotes + surplus {
		text := fmt.Sprintf("reason %02d", i)
		w.Record(refused(text))
		if i < maxNotes {
			want[text] = 1
		}
	}
	want[fmt.Sprintf("reason %02d", maxNotes-1)] += surplus
	w.want(want)
	other := refused("reason")
	other.Object.Name = "other"
	w.Record(other)
	want["reason"] = 1
	w.want(want)
}

func eventsThatWaitAtTheEnd(t *testing.T, api *rest.Config) {
	w := newRecorder(t, api)
	want := map[string]int32{}
	for i := range 5 {
		text := fmt.Sprint("waiting ", i)
		w.Record(refused(text))
		want[text] = 1
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	w.Recorder.Run(ended)
	w.want(want)

	// And no longer than a moment where there is no API server.
	w = newRecorder(t, &rest.Config{Host: "http://127.0.0.1:1"})
	w.Record(refused("one"))
	w.Record(refused("two"))
	w.Recorder.Run(ended)
	if got := testutil.ToFloat64(w.dropped); got != 2 {
		t.Errorf("%v Events are dropped, want 2", got)
	}
}

func TestMoreEventsThanHaveRoomAreDropped(t *testing.T) {
	w := newRecorder(t, &rest.Config{Host: "http://127.0.0.1:1"})
	for i := range maxQueued + 3 {
		w.Record(refused(fmt.Sprint(i)))
	}
	if got := testutil.ToFloat64(w.dropped); got != 3 {
		t.Errorf("%v Events are dropped, want 3", got)
	}
	for i := range maxSeries + 10 {
		w.remember(refused(fmt.Sprint(i)), &series{})
	}
	if len(w.told) > maxSeries {
		t.Errorf("%d Events are remembered", len(w.told))
	}
}
