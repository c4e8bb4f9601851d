package route

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// view is all that leaves the tables.
type view struct {
	Gateways        map[string]*Gateway
	Infrastructures map[string]*routing.Infrastructure
	Hosts           map[HostID]*Host
	Clusters        map[ClusterID]*Cluster
	Secrets         map[SecretID]*Secret
	Verdicts        map[events.Key]routing.Verdict
}

func viewOf(t *Tables) view {
	v := view{
		Gateways: map[string]*Gateway{}, Infrastructures: map[string]*routing.Infrastructure{}, Hosts: map[HostID]*Host{},
		Clusters: t.clusters, Secrets: t.secrets, Verdicts: map[events.Key]routing.Verdict{},
	}
	for key, verdict := range t.verdicts {
		v.Verdicts[key] = *verdict
	}
	for name, m := range t.merged {
		if m.infrastructure != nil {
			v.Infrastructures[name] = m.infrastructure
		}
		if m.public != nil {
			v.Gateways[name] = m.public
		}
	}
	for _, hosts := range t.hosts {
		for _, h := range hosts {
			v.Hosts[h.ID] = h
		}
	}
	return v
}

// edgesOf is the graph as text: what each node is read by, reads, and how many need it.
func edgesOf(t *Tables) map[string][]string {
	edges := map[string][]string{}
	for n, v := range t.graph.vertices {
		name := fmt.Sprint(n)
		for _, in := range v.reads {
			edges[name] = append(edges[name], fmt.Sprint("reads ", in.node))
		}
		v.users.each(func(user *vertex) { edges[name] = append(edges[name], fmt.Sprint("read by ", user.node)) })
		edges[name] = append(edges[name], fmt.Sprint("needed ", v.needed, " dirty ", v.dirty))
		slices.Sort(edges[name])
	}
	return edges
}

func fromScratch(s *fold.State) *Tables {
	t := New(0)
	t.Build(s, append(s.Keys(), events.EpochKey(events.StreamEvents)))
	return t
}

// seeds are the random histories to run: RUTTER_SEED reruns one, RUTTER_HISTORIES
// asks for more.
func seeds(t *testing.T) []uint64 {
	if text := os.Getenv("RUTTER_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{seed}
	}
	count := 150
	if text := os.Getenv("RUTTER_HISTORIES"); text != "" {
		count, _ = strconv.Atoi(text)
	}
	list := make([]uint64, count)
	for i := range list {
		list[i] = uint64(i)
	}
	return list
}

func rerun(t *testing.T, seed uint64) string {
	return fmt.Sprintf("rerun with RUTTER_SEED=%d go test -run '^%s$' ./projector/route", seed, t.Name())
}

func TestIncrementalEqualsFromScratch(t *testing.T) {
	routed, secured, told, attached, shadowed := 0, 0, 0, 0, 0
	for _, seed := range seeds(t) {
		h, s, tables := gwtest.NewHistory(seed), fold.NewState("test"), New(0)
		seen := viewOf(New(0))
		for i := range 60 {
			e := h.Next()
			keys, err := s.Apply(e)
			if err != nil {
				t.Fatal(err)
			}
			change := tables.Build(s, keys)
			scratch := fromScratch(s)
			want := viewOf(scratch)
			if diff := cmp.Diff(edgesOf(scratch), edgesOf(tables)); diff != "" {
				t.Fatalf("after event %d (%s %s) the graph differs (-scratch +incremental):\n%s\n%s", i, e.Type, e.Key, diff, rerun(t, seed))
			}
			if diff := cmp.Diff(want, viewOf(tables)); diff != "" {
				t.Fatalf("after event %d (%s %s) incremental differs (-scratch +incremental):\n%s\n%s", i, e.Type, e.Key, diff, rerun(t, seed))
			}
			checkChange(t, seen, want, change, seed)
			routed += len(want.Hosts) * len(want.Clusters) * len(want.Secrets)
			for _, c := range want.Clusters {
				if c.TLS != nil && want.Secrets[SecretID{c.ID.Gateway, c.TLS.CA}] != nil {
					secured++
				}
			}
			for _, v := range want.Verdicts {
				told += len(v.Ancestors)
			}
			attached += listenerSetsWithRoutes(scratch)
			for _, h := range want.Hosts {
				shadowed += len(h.Shadows)
			}
			seen = want
		}
	}
	if routed == 0 || secured == 0 || told == 0 || attached == 0 || shadowed == 0 {
		t.Fatalf("the histories are poor: %d routed, %d secured, %d told, %d attached to ListenerSets, %d shadowed", routed, secured, told, attached, shadowed)
	}
}

// listenerSetsWithRoutes counts what reaches requests through ListenerSets.
func listenerSetsWithRoutes(t *Tables) int {
	n := 0
	for id := range t.attached {
		if id.parent().Resource == events.ListenerSets && t.parents[id.parent()].accepts() {
			n++
		}
	}
	return n
}

// checkChange holds that a Change names all that came out different.
func checkChange(t *testing.T, before, after view, c Change, seed uint64) {
	t.Helper()
	named(t, "gateways", before.Gateways, after.Gateways, c.Gateways, seed)
	named(t, "infrastructures", before.Infrastructures, after.Infrastructures, c.Infrastructures, seed)
	named(t, "hosts", before.Hosts, after.Hosts, c.Hosts, seed)
	named(t, "clusters", before.Clusters, after.Clusters, c.Clusters, seed)
	named(t, "secrets", before.Secrets, after.Secrets, c.Secrets, seed)
	named(t, "verdicts", before.Verdicts, after.Verdicts, c.Verdicts, seed)
}

func named[K comparable, V any](t *testing.T, what string, before, after map[K]V, changed []K, seed uint64) {
	t.Helper()
	all := maps.Clone(before)
	maps.Copy(all, after)
	for id := range all {
		was, had := before[id]
		is, has := after[id]
		if (had != has || !cmp.Equal(was, is)) && !slices.Contains(changed, id) {
			t.Fatalf("%s: %v changed and Change does not say so; %s", what, id, rerun(t, seed))
		}
	}
}

func TestOneEventRecomputesAtMostItsDependents(t *testing.T) {
	for _, seed := range seeds(t) {
		h, s, tables := gwtest.NewHistory(seed), fold.NewState("test"), New(0)
		for range 60 {
			e := h.Next()
			// A policy is one of what it was for and of what it will be for.
			was := tables.policies[e.Key].services()
			keys, err := s.Apply(e)
			if err != nil {
				t.Fatal(err)
			}
			scratch := fromScratch(s)
			concerned := append(slices.Concat(was, scratch.policies[e.Key].services()), e.Key)
			before := dependents(tables, concerned...)
			tables.Build(s, keys)
			after := dependents(scratch, concerned...)
			maps.Copy(after, before)
			if tables.Recomputed > len(after) {
				t.Fatalf("event %d (%s) recomputed %d outputs, and %d depend on it; %s", e.Sequence, e.Key, tables.Recomputed, len(after), rerun(t, seed))
			}
		}
	}
}

// dependents are the outputs that read one of the objects, directly or through another
// output, found by following every edge backwards: a model without the layers,
// the order and the early cut-off of Build.
func dependents(t *Tables, keys ...events.Key) map[node]bool {
	found := map[node]bool{}
	var follow func(node)
	visit := func(n node) {
		if !found[n] {
			found[n] = true
			follow(n)
		}
	}
	edges := map[node][]node{}
	for _, output := range t.graph.vertices {
		for _, in := range output.reads {
			edges[in.node] = append(edges[in.node], output.node)
		}
	}
	follow = func(n node) {
		for _, output := range edges[n] {
			visit(output)
		}
		switch n.layer {
		case policyNode:
			for _, service := range t.policies[events.Key{Resource: events.BackendTLSPolicies, Namespace: n.a, Name: n.b}].services() {
				follow(objectOf(service))
				t.targets[service].each(func(key events.Key) { visit(policyVerdict(key)) })
			}
			visit(node{layer: policyVerdictNode, a: n.a, b: n.b})
		case hostNode:
			for _, s := range t.Host(HostID{n.a, n.b, n.c}).shadows() {
				visit(routeVerdictOf(s.Rule.Route))
			}
		case clusterNode:
			for _, o := range outputs(t.clusters[ClusterID{n.a, n.b}].secrets(), secretOutput) {
				visit(o)
			}
		case gatewayNode:
			visit(mergedOf(n.a))
		case listenerSetNode:
			if s := t.sets[events.Key{Resource: events.ListenerSets, Namespace: n.a, Name: n.b}]; s != nil {
				visit(mergedOf(s.gateway))
			}
		case mergedNode:
			m := t.merged[n.a].orEmpty()
			for _, p := range m.parents {
				follow(parentOf(p.key))
				visit(verdictOf(p.key))
			}
			for at := range m.owners {
				follow(spotOf(n.a, at))
			}
			for _, id := range m.public.chainsNotIn(nil) {
				follow(chainOutput(chainID{n.a, id}))
			}
			for _, o := range slices.Concat(outputs(m.hosts(), hostOutput), outputs(m.secrets(), secretOutput)) {
				visit(o)
			}
		case attachmentNode:
			a := t.attachments[events.Key{Resource: n.a, Namespace: n.b, Name: n.c}].orEmpty()
			for _, o := range slices.Concat(outputs(a.hosts, hostOutput), outputs(a.clusters, clusterOutput)) {
				visit(o)
			}
			for _, id := range a.ancestors {
				t.targets[id.service].each(func(key events.Key) { visit(policyVerdict(key)) })
			}
			visit(node{routeVerdictNode, n.a, n.b, n.c})
			for _, m := range a.members {
				follow(m.node())
				visit(verdictOf(listenerID{m.gateway, m.listener}.parent()))
			}
		}
	}
	for _, key := range keys {
		seedModel(key, visit, follow)
	}
	return found
}

// seedModel begins with what an object itself leads to.
func seedModel(key events.Key, visit, follow func(node)) {
	switch key.Resource {
	case events.GatewayClasses:
		visit(node{layer: classNode, a: key.Name})
	case events.Gateways:
		visit(node{layer: gatewayNode, a: key.Namespace + "/" + key.Name})
	case events.BackendTLSPolicies:
		visit(policyOf(key))
	case events.ListenerSets:
		visit(listenerSetOf(key))
	case events.ReferenceGrants:
		follow(node{layer: grantsNode, a: key.Namespace})
	case events.EpochKey("").Resource:
		follow(node{layer: settingsNode})
	case events.CustomResourceDefinitions:
		follow(node{layer: definitionsNode})
	case events.SyncKey("").Resource:
		follow(node{layer: unlistedNode})
	}
	if Attaches(key.Resource) {
		visit(attachmentOf(key))
	}
	follow(objectOf(key))
}

func outputs[ID any](ids []ID, output func(ID) node) []node {
	nodes := make([]node, 0, len(ids))
	for _, id := range ids {
		nodes = append(nodes, output(id))
	}
	return nodes
}
