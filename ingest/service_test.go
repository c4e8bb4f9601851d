package ingest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

func TestEachStartIsBracketedAndRecordsOnlyTheDifference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.shelf.put(route("a", "a.example") + route("b", "b.example") + slice("s", "10.0.0.1"))
		stop := r.start()
		synctest.Wait()
		want := "epoch.opened, sync.started, applied httproutes/a, applied httproutes/b, sync.completed"
		if got := story(r.read(r.config.Events, 0)); got != want {
			t.Errorf("the first start recorded\n%s, want\n%s", got, want)
		}
		want = "epoch.opened, sync.started, applied endpointslices/s, sync.completed"
		if got := story(r.read(r.config.Endpoints, 0)); got != want {
			t.Errorf("the first start recorded\n%s, want\n%s", got, want)
		}
		must(t, stop())

		next, nextEndpoints := r.after(r.config.Events), r.after(r.config.Endpoints)
		r.shelf.remove(routeKey("a"))
		r.shelf.put(route("b", "new.example"))
		stop = r.start()
		synctest.Wait()
		want = "epoch.opened, sync.started, applied httproutes/b, deleted httproutes/a, sync.completed"
		if got := story(r.read(r.config.Events, next)); got != want {
			t.Errorf("the second start recorded\n%s, want\n%s", got, want)
		}
		if got := story(r.read(r.config.Endpoints, nextEndpoints)); got != "epoch.opened" {
			t.Errorf("the second start recorded %s of endpoints that are all there", got)
		}
		must(t, stop())
	})
}

func TestEndpointsAreThereBeforeTheRoutesThatNeedThemAndAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		stop := r.start()
		synctest.Wait()
		next, nextEndpoints := r.after(r.config.Events), r.after(r.config.Endpoints)
		// No room for the route: its endpoints are there already.
		r.limit(events.StreamEvents, 1)
		r.shelf.put(route("a", "a.example") + slice("s", "10.0.0.1"))
		synctest.Wait()
		if got := story(r.read(r.config.Endpoints, nextEndpoints)); got != "applied endpointslices/s" {
			t.Errorf("ahead of the route %q was recorded", got)
		}
		r.limit(events.StreamEvents, 0)
		time.Sleep(2 * retryAfter)
		synctest.Wait()
		// No room for the deletion of the route: its endpoints stay.
		r.limit(events.StreamEvents, 1)
		r.shelf.change(func() { clear(r.shelf.objects) })
		synctest.Wait()
		if got := story(r.read(r.config.Endpoints, nextEndpoints)); got != "applied endpointslices/s" {
			t.Errorf("ahead of the deletion of the route %q was recorded", got)
		}
		r.limit(events.StreamEvents, 0)
		time.Sleep(2 * retryAfter)
		synctest.Wait()
		if got, want := story(r.read(r.config.Endpoints, nextEndpoints)), "applied endpointslices/s, deleted endpointslices/s"; got != want {
			t.Errorf("in the end %q was recorded, want %q", got, want)
		}
		if got, want := story(r.read(r.config.Events, next)), "applied httproutes/a, deleted httproutes/a"; got != want {
			t.Errorf("in the end %q was recorded, want %q", got, want)
		}
		must(t, stop())
	})
}

// limit gives a stream a size; 0 is none.
func (r *rig) limit(name string, bytes int64) {
	r.t.Helper()
	c := r.configs[name]
	c.MaxBytes = bytes
	_, err := r.log.Stream(r.t.Context(), c)
	must(r.t, err)
}

func TestAFullLogIsWaitedForAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		stop := r.start()
		synctest.Wait()
		for len(r.stalls) > 0 {
			must(t, <-r.stalls)
		}
		next := r.after(r.config.Events)
		info, err := r.config.Events.Info(t.Context())
		must(t, err)
		r.limit(events.StreamEvents, int64(info.Bytes)+2500)
		text, want := "", ""
		for i := range 20 {
			text += route(fmt.Sprintf("r%02d", i), "a.example")
			want += fmt.Sprintf(", applied httproutes/r%02d", i)
		}
		r.shelf.put(text)
		synctest.Wait()
		if err := <-r.stalls; !errors.Is(err, events.ErrFull) {
			t.Errorf("a full log is reported as %v", err)
		}
		// Twenty do not fit at once; a few by themselves do.
		time.Sleep(10 * time.Second)
		r.limit(events.StreamEvents, 0)
		time.Sleep(2 * retryAfter)
		synctest.Wait()
		if got := story(r.read(r.config.Events, next)); ", "+got != want {
			t.Errorf("recorded %s, want %s", got, want[2:])
		}
		var last error
		for len(r.stalls) > 0 {
			last = <-r.stalls
		}
		if last != nil {
			t.Errorf("the last word is %v", last)
		}
		must(t, stop())
	})
}

func TestAnotherWriterEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		ended := make(chan error, 1)
		go func() { ended <- run(t.Context(), r.config, r.shelf.open) }()
		synctest.Wait()

		second := *r
		second.shelf = &shelf{t: t, objects: map[events.Key]manifests.Object{}, changed: make(chan struct{})}
		stop := second.start()
		synctest.Wait()
		next := r.after(r.config.Events)
		r.shelf.put(route("late", "a.example"))
		if err := <-ended; !errors.Is(err, events.ErrFenced) {
			t.Errorf("the writer that was taken over from ends with %v", err)
		}
		if got := story(r.read(r.config.Events, next)); got != "" {
			t.Errorf("recorded %s after the take-over", got)
		}
		must(t, stop())
	})
}

func TestKeysAreSealedAnewWhenTheRecipientChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.log.Close()
		r.shelf.put(secret(t))
		stop := r.start()
		synctest.Wait()
		must(t, stop())

		// An epoch of the new recipient in which nothing else was recorded: that
		// ingest died at once.
		r.config.Settings.Recipient = newRecipient(t)
		settings := r.config.Settings
		s := &Service{Config: r.config}
		dead, err := r.config.Events.Acquire(t.Context(), events.LeaseConfig{
			Cluster: "c", Holder: "h", Sole: true,
			Open: func(epoch uint64) events.Message { return s.guard(events.StreamEvents, epoch, &settings) },
		})
		must(t, err)
		must(t, dead.Close(t.Context()))

		for _, want := range []string{
			"epoch.opened, sync.started, baseline secrets/cert, sync.completed", "epoch.opened, sync.started, sync.completed",
		} {
			next := r.after(r.config.Events)
			stop = r.start()
			synctest.Wait()
			if got := story(r.read(r.config.Events, next)); got != want {
				t.Errorf("recorded %s, want %s", got, want)
			}
			must(t, stop())
		}
	})
}

func secret(t *testing.T) string {
	t.Helper()
	cert, key := gwtest.Certificate(t, "a.example")
	return fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: cert, namespace: shop}, type: kubernetes.io/tls, data: {tls.crt: %s, tls.key: %s}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, namespace: shop},
 spec: {gatewayClassName: rutter, listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}]}}
---
`, base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(key))
}
