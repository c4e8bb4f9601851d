package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

const gateway = "ns/gw"

func scopes(n int) []routing.Resource {
	var out []routing.Resource
	for i := range n {
		out = append(out, sample.Scope(fmt.Sprintf("h%04d", i), "/", "c"))
	}
	return out
}

func take(t *testing.T, s *store.Store, versions ...*routing.Snapshot) {
	t.Helper()
	if err := s.Take(versions...); err != nil {
		t.Fatal(err)
	}
}

func read(s *store.Store, f func(*store.Reading)) { s.Read(gateway, f) }

func names(s *store.Store) (out []string) {
	read(s, func(r *store.Reading) { out = r.Names(store.ScopeType) })
	return out
}

func TestAVersionIsReadWholeOrNotAtAll(t *testing.T) {
	s, h := store.New(), sample.NewHistory("i")
	take(t, s, h.Publish(sample.World{gateway: nil}))
	done := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			read(s, func(r *store.Reading) {
				if scopes, clusters := len(r.Names(store.ScopeType)), len(r.Names(store.ClusterType)); scopes != clusters {
					t.Errorf("version %s: %d scopes, %d clusters", r.Version, scopes, clusters)
				}
			})
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range 200 {
		var world []routing.Resource
		for j := range i % 17 {
			world = append(world, sample.Scope(fmt.Sprint(j), "/", "c"), sample.Cluster(fmt.Sprint(j), "a", time.Duration(i)))
		}
		take(t, s, h.Publish(sample.World{gateway: world}))
	}
	close(done)
	readers.Wait()
}

func TestABadVersionChangesNothingAndAWholeOneHeals(t *testing.T) {
	s, h := store.New(), sample.NewHistory("i")
	take(t, s, h.Publish(sample.World{gateway: scopes(3)}))
	bad := h.Publish(sample.World{gateway: scopes(5)})
	bad.Gateways[0].Changed[1].Body = []byte("altered")
	if err := s.Take(bad); !errors.Is(err, routing.ErrDigest) {
		t.Errorf("got %v, want a digest error", err)
	}
	if got := names(s); len(got) != 3 || s.Version().Sequence != 1 {
		t.Errorf("it serves %v of version %s", got, s.Version())
	}
	next := h.Publish(sample.World{gateway: scopes(6)})
	if err := s.Take(next); !errors.Is(err, routing.ErrOutOfStep) {
		t.Errorf("got %v, want an out-of-step error", err)
	}
	whole := sample.NewHistory("i")
	for range 3 {
		whole.Publish(sample.World{})
	}
	full := whole.Publish(sample.World{gateway: scopes(2)})
	full.Previous = routing.Snapshot{}.Version
	take(t, s, full)
	if got := names(s); len(got) != 2 || s.Version().Sequence != 4 {
		t.Errorf("it serves %v of version %s", got, s.Version())
	}
}

func TestNothingOlderIsServedWhileTheStateIsRebuilt(t *testing.T) {
	s, h := store.New(), sample.NewHistory("i")
	var all []*routing.Snapshot
	for n := range 6 {
		all = append(all, h.Publish(sample.World{gateway: scopes(n)}))
	}
	take(t, s, all[:5]...)
	bad := *all[5]
	bad.Gateways = []routing.GatewayDelta{{Gateway: gateway}}
	if err := s.Take(&bad); !errors.Is(err, routing.ErrDigest) {
		t.Fatalf("got %v, want a digest error", err)
	}
	for i, version := range all {
		take(t, s, version)
		want := max(4, i)
		if got := names(s); len(got) != want || s.Version().Sequence != uint64(want+1) {
			t.Errorf("after version %d again: it serves %v of version %s", i+1, got, s.Version())
		}
	}
}

func TestVersionsThatAreHeldAreSkipped(t *testing.T) {
	s, h := store.New(), sample.NewHistory("i")
	var all []*routing.Snapshot
	for n := range 5 {
		all = append(all, h.Publish(sample.World{gateway: scopes(n)}))
	}
	take(t, s, all[:4]...)
	take(t, s, all...)
	if got := names(s); len(got) != 4 || s.Version().Sequence != 5 {
		t.Errorf("it serves %v of version %s", got, s.Version())
	}
}

func TestTheWholeIsTheSumOfTheVersions(t *testing.T) {
	s, h := store.New(), sample.NewHistory("i")
	for _, n := range []int{3, 7, 2, 9} {
		take(t, s, h.Publish(sample.World{gateway: scopes(n), "ns/other": scopes(n / 2)}))
	}
	take(t, s, h.Publish(sample.World{gateway: scopes(4)}))
	copied := store.New()
	take(t, copied, s.Whole())
	if a, b := s.Whole(), copied.Whole(); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
	if s.Version() != copied.Version() || !slices.Equal(names(s), names(copied)) {
		t.Error("the copy serves something else")
	}
}

func TestAClientIsToldWhatChangedOrThatItIsTooOld(t *testing.T) {
	s, h := store.New(), sample.NewHistory("i")
	s.Attach(gateway)
	take(t, s, h.Publish(sample.World{gateway: scopes(10)}))
	var start uint64
	read(s, func(r *store.Reading) { start = r.Revision })
	take(t, s, h.Publish(sample.World{gateway: scopes(8)}))
	take(t, s, h.Publish(sample.World{gateway: scopes(9)}))
	read(s, func(r *store.Reading) {
		if got, ok := r.Since(store.ScopeType, start); !ok || !slices.Equal(got, []string{"l0/h0008", "l0/h0009"}) {
			t.Errorf("got %v, %v", got, ok)
		}
	})
	for i := range 6000 {
		take(t, s, h.Publish(sample.World{gateway: scopes(i % 2)}))
	}
	read(s, func(r *store.Reading) {
		if got, ok := r.Since(store.ScopeType, start); ok {
			t.Errorf("it remembers %d changes after 6,000", len(got))
		}
		if got, ok := r.Since(store.ScopeType, r.Revision-10); !ok || len(got) != 1 {
			t.Errorf("got %v, %v", got, ok)
		}
	})
	// However large, the newest change is known whole.
	var before uint64
	take(t, s, h.Publish(sample.World{gateway: scopes(9000)}))
	read(s, func(r *store.Reading) { before = r.Revision })
	take(t, s, h.Publish(sample.World{gateway: nil}))
	read(s, func(r *store.Reading) {
		if got, ok := r.Since(store.ScopeType, before); !ok || len(got) != 9000 {
			t.Errorf("%d of 9,000 removals are known, %v", len(got), ok)
		}
	})
}
