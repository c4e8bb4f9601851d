package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// What a change costs more at the API server when somebody sees who asks for it: the
// same, in turns, in a namespace that the webhook is told of and in one that it is not.
func BenchmarkAChangeThatIsSeen(b *testing.B) {
	o := newOffice(b)
	watcher := o.watch()
	o.install("--set", "actors.namespaceSelector.matchLabels.seen=yes")
	alice := o.as("alice")
	alice.create(namespaces, "", `{apiVersion: v1, kind: Namespace, metadata: {name: seen, labels: {seen: "yes"}}}`)
	alice.create(namespaces, "", `{apiVersion: v1, kind: Namespace, metadata: {name: unseen}}`)
	took := map[string][]time.Duration{}
	for _, namespace := range []string{"seen", "unseen"} {
		alice.create(httproutes, namespace, shopRoute("r"))
	}
	try := 0
	gwtest.Eventually(b, "a request is seen", func() error {
		try++
		alice.merge(httproutes, "seen", "r", fmt.Sprintf(`{"spec":{"hostnames":["try%d.example"]}}`, try))
		if !strings.Contains(watcher.metrics(), `rutter_ingest_actors_recorded_total{resource="httproutes"}`) {
			return errors.New("the API server does not call the webhook")
		}
		return nil
	})
	b.ResetTimer()
	for i := range b.N {
		for _, namespace := range []string{"seen", "unseen"} {
			began := time.Now()
			alice.merge(httproutes, namespace, "r", fmt.Sprintf(`{"spec":{"hostnames":["h%d.example"]}}`, i))
			took[namespace] = append(took[namespace], time.Since(began))
		}
	}
	b.StopTimer()
	for namespace, all := range took {
		slices.Sort(all)
		for _, percent := range []int{50, 99} {
			b.ReportMetric(float64(all[len(all)*percent/100].Microseconds()), fmt.Sprintf("%s-p%d-µs", namespace, percent))
		}
	}
}
