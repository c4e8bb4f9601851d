package replay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/replay"
)

const routesPerSet = 16

// setsWorld is the events of ListenerSets of one Gateway, each in a namespace of its
// own with one listener of the protocol, 16 routes with hostnames of their own, and a
// Service; and the place of the first route among them.
func setsWorld(sets int, protocol string) (list []events.Event, first int) {
	add := func(kind events.Type, key events.Key, data string) {
		sequence := uint64(len(list) + 1)
		list = append(list, events.Event{Sequence: sequence, ID: fmt.Sprint(sequence), Type: kind, Cluster: "local", Key: key, Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Data: []byte(data)})
	}
	object := func(resource, namespace, name, body string) {
		add(events.ObjectApplied, events.Key{Resource: resource, Namespace: namespace, Name: name},
			fmt.Sprintf(`{"metadata":{"name":%q,"namespace":%q,"uid":"%s-%s-%s","generation":1,"creationTimestamp":"2026-01-01T00:00:00Z"},%s}`, name, namespace, resource, namespace, name, body))
	}
	add(events.TypeEpoch, events.EpochKey(events.StreamEvents), `{"epoch":1,"holder":"bench","settings":{"controllerName":"rutter.dev/gateway-controller","listenAddress":"127.0.0.1","routeLayout":"scoped"}}`)
	object(events.GatewayClasses, "", "rutter", `"spec":{"controllerName":"rutter.dev/gateway-controller"}`)
	object(events.Gateways, "infra", "gw", `"spec":{"gatewayClassName":"rutter","allowedListeners":{"namespaces":{"from":"All"}},"listeners":[{"name":"http","port":8080,"protocol":"HTTP","hostname":"gw.example.com"}]}`)
	for i := range sets {
		namespace, listener := fmt.Sprintf("team-%d", i), `"port":8080`
		if protocol == "HTTPS" {
			object(events.Secrets, namespace, "cert", `"data":{"tls.crt":"Y2hhaW4="},"keyPair":{"fingerprint":"f","sealedKey":"c2VhbGVk"}`)
			listener = `"port":8443,"tls":{"certificateRefs":[{"name":"cert"}]}`
		}
		object(events.ListenerSets, namespace, "set", fmt.Sprintf(`"spec":{"parentRef":{"name":"gw","namespace":"infra"},"listeners":[{"name":"web","protocol":%q,"hostname":"*.%s.example.com",%s}]}`, protocol, namespace, listener))
		object(events.Services, namespace, "s", `"spec":{"ports":[{"name":"http","port":80,"protocol":"TCP"}]}`)
		for j := range routesPerSet {
			if i == 0 && j == 0 {
				first = len(list)
			}
			object(events.HTTPRoutes, namespace, fmt.Sprintf("r%d", j), fmt.Sprintf(`"spec":{"parentRefs":[{"group":"gateway.networking.k8s.io","kind":"ListenerSet","name":"set"}],"hostnames":["h%d.%s.example.com"],
				"rules":[{"matches":[{"path":{"type":"PathPrefix","value":"/"}}],"backendRefs":[{"group":"","kind":"Service","name":"s","port":80,"weight":1}]}]}`, j, namespace))
		}
	}
	return list, first
}

func mustProject(tb testing.TB, e *replay.Engine, list ...events.Event) {
	tb.Helper()
	if err := e.Fold(list...); err != nil {
		tb.Fatal(err)
	}
	if e.Project() == nil {
		tb.Fatal("nothing was projected")
	}
}

// BenchmarkOneChangeAmongListenerSets folds and projects one changed route, and one
// changed ListenerSet, among many.
func BenchmarkOneChangeAmongListenerSets(b *testing.B) {
	for _, protocol := range []string{"HTTP", "HTTPS"} {
		for _, sets := range []int{7, 250, 2_500} {
			list, first := setsWorld(sets, protocol)
			e := replay.New("bench")
			started := time.Now()
			mustProject(b, e, list...)
			b.Logf("%d ListenerSets with %s and %d routes: projected whole in %v", sets, protocol, sets*routesPerSet, time.Since(started))
			sequence := uint64(len(list))
			change := func(b *testing.B, of events.Event, from, to string) {
				var took []time.Duration
				for b.Loop() {
					began := time.Now()
					sequence++
					next := of
					next.Sequence, next.Data = sequence, []byte(strings.Replace(string(of.Data), from, fmt.Sprintf(to, sequence), 1))
					mustProject(b, e, next)
					took = append(took, time.Since(began))
				}
				// The mean has the garbage collector in it, which runs beside most changes.
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
			}
			b.Run(fmt.Sprintf("%s/route/%d", protocol, sets), func(b *testing.B) {
				change(b, list[first], `"value":"/"`, `"value":"/%d"`)
			})
			b.Run(fmt.Sprintf("%s/set/%d", protocol, sets), func(b *testing.B) {
				change(b, list[first-2], `"hostname":"*.`, `"hostname":"*.x%d.`)
			})
		}
	}
}
