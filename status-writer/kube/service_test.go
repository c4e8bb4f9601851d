package kube

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// gatewayVerdict is that on a Gateway with so many routes.
func gatewayVerdict(o *object, attached int32) routing.Verdict {
	accepted := []routing.Condition{{Type: "Accepted", Status: "True", Reason: "Accepted", Message: "Yes."}}
	return routing.Verdict{
		Object: gatewayKey(o.Name), UID: string(o.UID), Generation: o.Generation, Conditions: accepted, Addresses: []string{"10.0.0.1"},
		Listeners: []routing.ListenerVerdict{{Name: "http", AttachedRoutes: attached, Conditions: accepted, SupportedKinds: []routing.GroupKind{}}},
	}
}

// thousandRoutes are created as fast as eight clients can; each has its verdict at
// once, with the Gateway's, and an Envoy takes each version. Receipts are as rare as
// those of an xDS server.
func thousandRoutes(r *rig) {
	const routes, most = 1000, 2.0
	p := r.projection()
	gw := r.create(gatewayKey("busy"), gatewaySpec)
	p.report(p.publish(nil, gatewayVerdict(gw, 0)), "busy")
	registry, _ := p.write(r.run(nil))

	ctx, cancel := context.WithCancel(context.Background())
	var envoy sync.WaitGroup
	envoy.Go(func() { p.reportAsVersionsCome(ctx, "busy") })
	defer envoy.Wait()
	defer cancel()

	names := make([]string, routes)
	attached, creators := int32(0), sync.WaitGroup{}
	var one sync.Mutex
	for c := range 8 {
		creators.Go(func() {
			for i := c; i < routes; i += 8 {
				names[i] = fmt.Sprintf("busy-%04d", i)
				o := r.route(names[i], "busy")
				one.Lock()
				attached++
				p.publish(nil, gatewayVerdict(gw, attached), verdict(o, "busy"))
				one.Unlock()
			}
		})
	}
	creators.Wait()
	created := time.Now()
	for _, name := range names {
		r.eventually(func() error { return r.programmed(name, 1) })
	}
	r.eventually(func() error {
		if status := string(r.get(gatewayKey("busy")).Status); !strings.Contains(status, fmt.Sprintf(`"attachedRoutes":%d`, routes)) {
			return fmt.Errorf("got %s", status)
		}
		return nil
	})
	took, n := time.Since(created), writes(r, registry, events.HTTPRoutes)+writes(r, registry, events.Gateways)
	r.Logf("right after %s; %d writes of %d objects, %d of them of the Gateway", took, n, routes+1, writes(r, registry, events.Gateways))
	// How long it takes, and 1.2 writes, are figures of a machine that does nothing else.
	if float64(n) > most*(routes+1) {
		r.Errorf("%d writes of %d objects", n, routes+1)
	}
}

// reportAsVersionsCome reports the newest version every 200 ms.
func (p *projection) reportAsVersionsCome(ctx context.Context, gateways ...string) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p.mu.Lock()
		sequence := p.state.Version.Sequence
		p.mu.Unlock()
		p.report(sequence, gateways...)
	}
}

// twoAtOnce have the same log and the same API server.
func twoAtOnce(r *rig) {
	const routes, rounds = 40, 5
	p := r.projection()
	registries := []*prometheus.Registry{nil, nil}
	for i := range registries {
		registries[i], _ = p.write(r.run(nil))
	}
	for i := range rounds {
		var verdicts []routing.Verdict
		for j := range routes {
			name := fmt.Sprintf("two-%d", j)
			var o *object
			if i == 0 {
				o = r.route(name, "two")
			} else {
				var err error
				o, err = r.patch(routeKey(name), fmt.Sprintf(`{"spec":{"hostnames":["round-%d.example.com"]}}`, i))
				r.must(err)
			}
			verdicts = append(verdicts, verdict(o, "two"))
		}
		p.report(p.publish(nil, verdicts...), "two")
		for j := range routes {
			r.eventually(func() error { return r.programmed(fmt.Sprintf("two-%d", j), 1) })
		}
	}
	n := writes(r, registries[0], events.HTTPRoutes) + writes(r, registries[1], events.HTTPRoutes)
	r.Logf("%d writes of %d objects in %d generations", n, routes, rounds)
	if n > 2*routes*rounds {
		r.Errorf("%d writes of %d objects in %d generations: they overwrite each other", n, routes, rounds)
	}
}

// laggardTakesNothingBack: what a status says of a later generation is not undone
// by a writer that has not heard of it.
func laggardTakesNothingBack(r *rig) {
	r.run(nil)
	key := routeKey("lag")
	old := r.route("lag", "a", "b")
	now, err := r.patch(key, `{"spec":`+routeSpec("a")+`}`)
	r.must(err)
	r.known(key)
	r.apply(verdict(now, "a"))
	written := r.get(key)
	r.known(key)
	if r.apply(verdict(old, "a", "b")) || r.get(key).ResourceVersion != written.ResourceVersion {
		r.Errorf("got %s", r.get(key).Status)
	}
	// Somebody's nonsense is not a later generation.
	_, err = r.patch(key, fmt.Sprintf(`{"status":{"parents":%s}}`, strings.ReplaceAll(string(join(r.parents(written))), `"observedGeneration":2`, `"observedGeneration":99`)), "status")
	r.must(err)
	r.known(key)
	if !r.apply(verdict(now, "a")) || strings.Contains(string(r.get(key).Status), "99") {
		r.Errorf("got %s", r.get(key).Status)
	}
}

func burstBecomesFewWrites(r *rig) {
	const changes = 300
	p := r.projection()
	gw := r.create(gatewayKey("burst"), gatewaySpec)
	registry, _ := p.write(r.run(nil))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range changes {
		p.publish(nil, gatewayVerdict(gw, int32(i+1)))
		<-tick.C
	}
	r.eventually(func() error {
		if status := string(r.get(gatewayKey("burst")).Status); !strings.Contains(status, fmt.Sprintf(`"attachedRoutes":%d`, changes)) {
			return fmt.Errorf("got %s", status)
		}
		return nil
	})
	if n := writes(r, registry, events.Gateways); n > 15 {
		r.Errorf("%d writes for %d changes", n, changes)
	}
}
