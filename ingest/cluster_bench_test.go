package ingest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

const benchRoute = `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r%05d, namespace: shop},
 spec: {parentRefs: [{name: gw}], hostnames: [h%05d.example], rules: [{matches: [{path: {type: PathPrefix, value: /}}], backendRefs: [{name: web, port: 80}]}]}}`

// BenchmarkCluster is a real API server with 10,000 routes, recorded on a NATS server
// that syncs each write: the first start and the next one until all is listed, and
// one change, from the answer of the API server until a reader of the log has it.
func BenchmarkCluster(b *testing.B) {
	w := newRealWorld(b)
	w.fill(10_000)
	for b.Loop() {
		w.config, _ = w.onNATS(gwtest.NATS(b), "bench")
		w.config.Sole = true
		var stop func()
		for _, metric := range []string{"first-s", "again-s"} {
			if stop != nil {
				stop()
			}
			began := time.Now()
			stop = w.start()
			b.ReportMetric(time.Since(began).Seconds(), metric)
		}
		b.ReportMetric(float64(w.change(200).Microseconds())/1000, "change-ms")
		stop()
	}
}

// fill creates so many routes.
func (w *realWorld) fill(count int) {
	w.t.Helper()
	const workers = 16
	var working sync.WaitGroup
	for worker := range workers {
		working.Go(func() {
			for i := worker; i < count; i += workers {
				o := &unstructured.Unstructured{Object: gwtest.Objects(w.t, fmt.Sprintf(benchRoute, i, i))[0]}
				if _, err := w.of(o).Create(w.t.Context(), o, metav1.CreateOptions{}); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	working.Wait()
}

// change is how long one change takes, on average.
func (w *realWorld) change(times int) time.Duration {
	w.t.Helper()
	reader := w.config.Events.Reader(w.after(w.config.Events))
	defer reader.Close()
	var total time.Duration
	for i := range times {
		o := &unstructured.Unstructured{Object: gwtest.Objects(w.t, fmt.Sprintf(benchRoute, i, i+20_000))[0]}
		_, err := w.of(o).Apply(w.t.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: "tester", Force: true})
		must(w.t, err)
		began := time.Now()
		_, err = reader.Next(w.t.Context())
		must(w.t, err)
		total += time.Since(began)
	}
	return total / time.Duration(times)
}
