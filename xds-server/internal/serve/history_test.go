package serve

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/endpoints"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
	"github.com/rutter-gateway/rutter/xds-server/internal/simenvoy"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// seedFlag repeats one history.
var seedFlag = flag.Uint64("seed", 0, "seed of the one random history to run; 0 for some")

// After any history of versions, endpoint changes, refusals and reconnects to
// either of two replicas, an Envoy runs what the store holds, less what it
// refuses.
func TestAnyHistoryEndsInWhatTheStoreHolds(t *testing.T) {
	histories, seed := 20, rand.Uint64()
	if *seedFlag != 0 {
		histories, seed = 1, *seedFlag
	}
	for range histories {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Logf("again: go test -run %s -seed %d", "TestAnyHistory", seed)
			randomHistory(t, rand.New(rand.NewPCG(seed, 0)))
		})
		seed++
	}
}

func randomHistory(t *testing.T, rng *rand.Rand) {
	replicas := []*replica{newReplica(t), newReplica(t)}
	tables := []*endpoints.Table{endpoints.NewTable(nil), endpoints.NewTable(nil)}
	h := sample.NewHistory("i")
	hosts := map[int]int{}
	world := []routing.Resource{}
	salt := 0
	// Which bytes are refused depends on them alone, so that it can be known at the
	// end. Not listeners: without one an Envoy asks for no routes.
	refusing := func(salt int) func(typ, name string, body []byte) bool {
		return func(typ, name string, body []byte) bool {
			sum := fnv.New32a()
			fmt.Fprint(sum, salt, typ, name)
			_, _ = sum.Write(body)
			return salt > 0 && typ != store.ListenerType && sum.Sum32()%7 == 0
		}
	}
	for i, r := range replicas {
		r.store.ReplaceEndpoints(tables[i].All())
	}
	e := simenvoy.New("a", gateway)
	at := rng.IntN(2)
	if err := e.Connect(t.Context(), replicas[at].conn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Envoy has %v", e.View())
		}
		e.Disconnect()
	})

	for range 60 {
		switch rng.IntN(6) {
		case 0: // another replica
			e.Disconnect()
			at = rng.IntN(2)
			if err := e.Connect(t.Context(), replicas[at].conn); err != nil {
				t.Fatal(err)
			}
		case 1: // an endpoint
			event := sample.SliceEvent(fmt.Sprintf("s%d", rng.IntN(8)), 80, fmt.Sprintf("10.0.0.%d", rng.IntN(200)))
			if rng.IntN(3) == 0 {
				event.Type = events.ObjectDeleted
			}
			for i, r := range replicas {
				if err := tables[i].Apply(event); err != nil {
					t.Fatal(err)
				}
				r.store.SetEndpoints(tables[i].Take())
			}
		case 2: // another taste
			if rng.IntN(4) == 0 {
				salt++
				e.Refuse(refusing(salt))
			}
		default: // a version
			for range 1 + rng.IntN(3) {
				if i := rng.IntN(8); rng.IntN(3) == 0 {
					delete(hosts, i)
				} else {
					hosts[i] = 1 + rng.IntN(3)
				}
			}
			world = []routing.Resource{sample.Listener("http", 8080, "")}
			for i, edition := range hosts {
				world = append(world, host(i, edition)...)
			}
			version := h.Publish(sample.World{gateway: world})
			for _, r := range replicas {
				r.take(t, version)
			}
		}
	}
	// Settle: a last version that everything is compared with, and an Envoy that
	// has forgotten nothing but its refusals of the past.
	e.Disconnect()
	world = append(world, host(99, 1)...)
	world = append(without(world, "http"), sample.Listener("http", 8081, ""))
	last := h.Publish(sample.World{gateway: world})
	for i, r := range replicas {
		r.take(t, last)
		// A connection that broke between a changed cluster and its endpoints leaves
		// the cluster warming until they change: Envoy says that it has them.
		for service := range 8 {
			if err := tables[i].Apply(sample.SliceEvent(fmt.Sprintf("s%d", service), 81, "10.1.1.1")); err != nil {
				t.Fatal(err)
			}
		}
		r.store.SetEndpoints(tables[i].Take())
	}
	if err := e.Connect(t.Context(), replicas[at].conn); err != nil {
		t.Fatal(err)
	}
	refused := func(r routing.Resource) bool {
		if i, ok := strings.CutPrefix(r.Name, "ca"); ok { // of a cluster that is refused nobody asks for the secret
			for _, c := range world {
				if c.Name == "c"+i && refusing(salt)(c.Type, c.Name, c.Body) {
					return true
				}
			}
		}
		return refusing(salt)(r.Type, r.Name, r.Body)
	}
	replicas[at].ledger.await(t, "a", func(got routing.EnvoyReceipt) bool { return got.Held == last.Version })
	want := slices.DeleteFunc(slices.Clone(world), refused)
	have := e.View()
	for _, r := range want {
		if got, ok := have.Have[r.Type][r.Name]; !ok || routing.DigestOf(got.Body) != r.Digest {
			t.Errorf("%s %s is not what the store holds\n%v", r.Type, r.Name, have)
		}
	}
	for typ, resources := range have.Have {
		for name := range resources {
			known := slices.ContainsFunc(world, func(r routing.Resource) bool { return r.Type == typ && r.Name == name })
			if !known && short(typ) != "ClusterLoadAssignment" {
				t.Errorf("%s %s was removed, and is still there", typ, name)
			}
		}
	}
}
