package replay_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// world is the events of n routes, each of at least 1.5 KB, with its own hostname
// and Service, on one Gateway with the given layout.
func world(n int, layout string) []events.Event {
	var list []events.Event
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	add := func(kind events.Type, key events.Key, data string) {
		sequence := uint64(len(list) + 1)
		list = append(list, events.Event{Sequence: sequence, ID: fmt.Sprint(sequence), Type: kind, Cluster: "local", Key: key, Time: at, Data: []byte(data)})
	}
	object := func(resource, namespace, name, spec string) {
		add(events.ObjectApplied, events.Key{Resource: resource, Namespace: namespace, Name: name},
			fmt.Sprintf(`{"metadata":{"name":%q,"namespace":%q,"uid":"%s-%s","generation":1,"creationTimestamp":"2026-01-01T00:00:00Z","annotations":{"note":%q}},"spec":%s}`,
				name, namespace, resource, name, strings.Repeat("n", 1000), spec))
	}
	add(events.TypeEpoch, events.EpochKey(events.StreamEvents), fmt.Sprintf(`{"epoch":1,"holder":"bench","settings":{"controllerName":"rutter.dev/gateway-controller","listenAddress":"127.0.0.1","routeLayout":%q}}`, layout))
	object(events.GatewayClasses, "", "rutter", `{"controllerName":"rutter.dev/gateway-controller"}`)
	object(events.Gateways, "default", "gw", `{"gatewayClassName":"rutter","listeners":[{"name":"http","port":8080,"protocol":"HTTP"}]}`)
	for i := range n {
		object(events.Services, "default", fmt.Sprintf("s%d", i), `{"ports":[{"name":"http","port":80,"protocol":"TCP"}]}`)
		object(events.HTTPRoutes, "default", fmt.Sprintf("r%d", i), route(i, "/"))
	}
	return list
}

func route(i int, path string) string {
	return fmt.Sprintf(`{"parentRefs":[{"group":"gateway.networking.k8s.io","kind":"Gateway","name":"gw"}],"hostnames":["h%d.example.com"],"rules":[
		{"matches":[{"path":{"type":"PathPrefix","value":%q},"headers":[{"type":"Exact","name":"x-version","value":"1"}]}],"backendRefs":[{"group":"","kind":"Service","name":"s%d","port":80,"weight":1}]},
		{"matches":[{"path":{"type":"PathPrefix","value":"/"}}],"backendRefs":[{"group":"","kind":"Service","name":"s%d","port":80,"weight":1}]}]}`, i, path, i, i)
}

// BenchmarkRefold is a full refold with projection and digests; the metric is
// events per second.
func BenchmarkRefold(b *testing.B) {
	list := world(10_000, "scoped")
	b.ResetTimer()
	for b.Loop() {
		e := replay.New("bench")
		if err := e.Fold(list...); err != nil {
			b.Fatal(err)
		}
		if e.Project() == nil {
			b.Fatal("nothing was projected")
		}
	}
	b.ReportMetric(float64(len(list)*b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkOneChange folds and projects one changed route among many.
func BenchmarkOneChange(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		for _, layout := range []string{"scoped", "plain"} {
			b.Run(fmt.Sprintf("%s/%d", layout, n), func(b *testing.B) {
				list := world(n, layout)
				e := replay.New("bench")
				if err := e.Fold(list...); err != nil {
					b.Fatal(err)
				}
				e.Project()
				sequence := uint64(len(list))
				for b.Loop() {
					sequence++
					change := list[4]
					change.Sequence, change.Data = sequence, []byte(strings.Replace(string(list[4].Data), `"value":"/"`, fmt.Sprintf(`"value":"/%d"`, sequence), 1))
					if err := e.Fold(change); err != nil {
						b.Fatal(err)
					}
					if e.Project() == nil {
						b.Fatal("nothing was projected")
					}
				}
			})
		}
	}
}

// BenchmarkPin puts a past version of a Gateway with many routes in force, and takes it
// back; the metric is the size of what is recorded of it.
func BenchmarkPin(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e, state := replay.New("bench"), routing.NewState()
			publish := func() {
				if snap := e.Project(); snap == nil || state.Apply(snap) != nil {
					b.Fatal("nothing was projected")
				}
			}
			if err := e.Fold(world(n, "scoped")...); err != nil {
				b.Fatal(err)
			}
			publish()
			content := routing.Pinned(state, "default/gw")
			key := events.Key{Resource: events.RoutingPins, Namespace: "default", Name: "gw"}
			head := events.PinnedRouting{Gateway: "default/gw", Version: content.Version.String(), Digest: content.Gateways[0].Digest.String()}
			parts, err := routing.EncodePinned(head, content, 512<<10)
			if err != nil {
				b.Fatal(err)
			}
			size := 0
			fold := func(kind events.Type, data []byte) {
				sequence := e.State().Version.Sequence + 1
				if err := e.Fold(events.Event{Sequence: sequence, ID: fmt.Sprint(sequence), Type: kind, Key: key, Data: data, Time: time.Unix(1, 0)}); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				fold(events.ObjectApplied, fmt.Appendf(nil, `{"metadata":{"name":"gw","namespace":"default"},"spec":{"gatewayRef":{"name":"gw"},"version":%q,"digest":%q}}`, head.Version, head.Digest))
				size = 0
				for _, part := range parts {
					data, err := json.Marshal(part)
					if err != nil {
						b.Fatal(err)
					}
					size += len(data)
					fold(events.TypePinned, data)
				}
				publish()
				fold(events.ObjectDeleted, []byte(`{}`))
				publish()
			}
			b.ReportMetric(float64(size), "bytes")
			b.ReportMetric(float64(len(parts)), "events")
		})
	}
}
