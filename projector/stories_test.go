package projector_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/golden"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/projector/envoy/describe"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// TestStories tells what objects come to: each archive has objects.yaml, in the
// order in which they were recorded (one second apart; an object that says
// "deleted: true" was deleted, and one that says "reached" depends on that moment,
// which has come), and the routing and the verdicts after the last. A RoutingPin with
// "at: n" names what was published for its Gateway at the event n, and what ingest would
// record of that follows it, or "problem".
// In one whose name begins with "provisioned" Envoys are, and with
// "provisioned-dual-stack" they listen on both families.
// Both layouts must give the same.
func TestStories(t *testing.T) {
	golden.Run(t, "testdata/*.txtar", func(t *testing.T, a *golden.Archive) {
		objects := gwtest.Objects(t, string(a.Input("objects.yaml")))
		settings := events.Settings{
			ControllerName: "rutter.dev/gateway-controller", ListenAddress: "0.0.0.0",
			Provisioned: strings.HasPrefix(filepath.Base(t.Name()), "provisioned"),
		}
		if strings.HasPrefix(filepath.Base(t.Name()), "provisioned-dual-stack") {
			settings.ListenAddress = "::"
		}
		plain := tell(t, objects, settings, "plain")
		if scoped := tell(t, objects, settings, "scoped"); scoped != plain {
			t.Errorf("the layouts differ:\nplain:\n%s\nscoped:\n%s", plain, scoped)
		}
		routes, verdicts, _ := strings.Cut(plain, "\x00")
		a.Expect("routing", []byte(routes))
		a.Expect("verdicts", []byte(verdicts))
	})
}

// tell folds the objects and describes what is published, routing and verdicts
// with a NUL in between.
func tell(t *testing.T, objects []map[string]any, settings events.Settings, layout string) string {
	t.Helper()
	state := publish(t, objects, settings, layout)
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(state.Gateways)) {
		g, err := describe.Of(name, state.Gateways[name].Resources)
		must(t, err)
		printGateway(&out, g)
		printInfrastructure(&out, state.Gateways[name].Infrastructure)
	}
	out.WriteByte(0)
	for _, key := range slices.SortedFunc(maps.Keys(state.Verdicts), events.Key.Compare) {
		printVerdict(&out, state.Verdicts[key])
		if settings.Provisioned && key.Resource == events.Gateways {
			fmt.Fprintf(&out, "  addresses %v\n", state.Verdicts[key].Addresses)
			if said := state.Verdicts[key].Routabilities; said != nil {
				fmt.Fprintf(&out, "  routabilities %q\n", said)
			}
		}
	}
	return out.String()
}

// publish folds the objects, and is what is published then.
func publish(t *testing.T, objects []map[string]any, settings events.Settings, layout string) *routing.State {
	t.Helper()
	settings.RouteLayout = layout
	e := replay.New("story")
	state := routing.NewState()
	var sequence uint64
	published := map[uint64]*routing.Snapshot{}
	fold := func(kind events.Type, key events.Key, payload any) {
		sequence++
		data, err := json.Marshal(payload)
		must(t, err)
		must(t, e.Fold(events.Event{Sequence: sequence, ID: fmt.Sprint(sequence), Type: kind, Cluster: "local", Key: key, Data: data, Time: storyTime(sequence)}))
		if snap := e.Project(); snap != nil {
			must(t, state.Apply(snap))
		}
		if problems := e.Problems(); len(problems) > 0 {
			t.Fatal(problems)
		}
		if pinned := routing.Pinned(state, "default/gw"); pinned != nil {
			published[sequence] = pinned
		}
	}
	fold(events.TypeEpoch, events.EpochKey(events.StreamEvents), events.EpochOpened{Epoch: 1, Holder: "story", Settings: &settings})
	generations := map[events.Key]int{}
	for _, o := range objects {
		metadata, _ := o["metadata"].(map[string]any)
		key := events.Key{Resource: strings.ToLower(fmt.Sprint(o["kind"])) + "s", Name: fmt.Sprint(metadata["name"])}
		if plural, ok := map[string]string{"gatewayclasss": events.GatewayClasses, "rutterclasss": events.RutterClasses, "backendtlspolicys": events.BackendTLSPolicies}[key.Resource]; ok {
			key.Resource = plural
		}
		if namespace, ok := metadata["namespace"].(string); ok {
			key.Namespace = namespace
		}
		if reached, ok := o["reached"].(string); ok {
			moment, err := time.Parse(time.RFC3339, reached)
			must(t, err)
			fold(events.TypeTime, key, events.TimeReached{Time: moment})
			continue
		}
		if o["deleted"] == true {
			fold(events.ObjectDeleted, key, map[string]any{"metadata": metadata})
			continue
		}
		generations[key]++
		metadata["uid"], metadata["generation"] = key.String(), generations[key]
		if metadata["creationTimestamp"] == nil {
			metadata["creationTimestamp"] = storyTime(1).Format(time.RFC3339)
		}
		if key.Resource != events.RoutingPins {
			fold(events.ObjectApplied, key, o)
			continue
		}
		content := published[uint64(o["at"].(int64))]
		head := events.PinnedRouting{Gateway: content.Gateways[0].Gateway, Version: content.Version.String(), Digest: content.Gateways[0].Digest.String()}
		o["spec"] = map[string]any{"gatewayRef": map[string]any{"name": "gw"}, "version": head.Version, "digest": head.Digest, "reason": o["reason"]}
		fold(events.ObjectApplied, key, o)
		if why, ok := o["problem"].(string); ok {
			head.Problem = &events.PinProblem{Reason: events.ReasonVersionNotKept, Message: why}
			fold(events.TypePinned, key, head)
		} else if o["read"] != false {
			parts, err := routing.EncodePinned(head, content, 20<<10) // several
			must(t, err)
			for _, part := range parts {
				fold(events.TypePinned, key, part)
			}
		}
	}
	return state
}

func storyTime(sequence uint64) time.Time {
	return time.Date(2026, 1, 1, 0, 0, int(sequence), 0, time.UTC)
}

func printGateway(out *bytes.Buffer, g *describe.Gateway) {
	fmt.Fprintf(out, "%s\n", g.Name)
	for _, l := range g.Listeners {
		fmt.Fprintf(out, "  %s", l.Name)
		if l.TLS {
			fmt.Fprintf(out, " SNI %s", cmpOr(l.ServerName, "*"))
			for _, c := range l.Certificates {
				fmt.Fprintf(out, " certificate %s", c.Secret)
			}
			if l.Clients != "" {
				fmt.Fprintf(out, " client certificates %s", l.Clients)
			}
		}
		out.WriteByte('\n')
		for _, f := range l.Filters {
			fmt.Fprintf(out, "    filter %s\n", f)
		}
		for _, h := range g.Hosts {
			if h.Listener != l.Name {
				continue
			}
			fmt.Fprintf(out, "    %s", h.Hostname)
			if h.Misdirected {
				out.WriteString(" misdirected: 421")
			}
			out.WriteByte('\n')
			for _, r := range h.Rules {
				printRule(out, r)
			}
		}
	}
}

func printInfrastructure(out *bytes.Buffer, i *routing.Infrastructure) {
	if i == nil {
		return
	}
	fmt.Fprintf(out, "  infrastructure %s of class %s for generation %d, ports %v, addresses %v, dual stack %v\n", i.Name, i.Class, i.Generation, i.Ports, i.Addresses, i.DualStack)
	if i.Internal || i.ClusterAddresses != nil {
		fmt.Fprintf(out, "    internal %v, addresses of the cluster %v\n", i.Internal, i.ClusterAddresses)
	}
	fmt.Fprintf(out, "    labels %v, annotations %v\n", i.Labels, i.Annotations)
	if i.Resources != nil {
		fmt.Fprintf(out, "    requests %v, limits %v\n", i.Resources.Requests, i.Resources.Limits)
	}
	if i.MaxConnections > 0 {
		fmt.Fprintf(out, "    %d connections\n", i.MaxConnections)
	}
	if i.Replicas > 0 || i.ServiceType != "" {
		fmt.Fprintf(out, "    %d replicas, Service %s with annotations %v\n", i.Replicas, i.ServiceType, i.ServiceAnnotations)
	}
}

func printRule(out *bytes.Buffer, r describe.Rule) {
	fmt.Fprintf(out, "      %s  (%s/%d/%d)", r.Match, r.Route, r.Index, r.MatchIndex)
	for _, f := range r.Filters {
		fmt.Fprintf(out, "  %s", f)
	}
	for i, b := range r.Backends {
		fmt.Fprintf(out, "%s%s", map[bool]string{true: "  -> ", false: ", "}[i == 0], b)
	}
	out.WriteByte('\n')
}

func printVerdict(out *bytes.Buffer, v routing.Verdict) {
	fmt.Fprintf(out, "%s generation %d\n", v.Object, v.Generation)
	printConditions(out, "  ", v.Conditions)
	if v.AttachedListenerSets != nil {
		fmt.Fprintf(out, "  %d attached ListenerSets\n", *v.AttachedListenerSets)
	}
	for _, l := range v.Listeners {
		kinds := []string{}
		for _, k := range l.SupportedKinds {
			kinds = append(kinds, k.Kind)
		}
		fmt.Fprintf(out, "  listener %s: %d attached, takes [%s]\n", l.Name, l.AttachedRoutes, strings.Join(kinds, " "))
		printConditions(out, "    ", l.Conditions)
	}
	for _, p := range v.Parents {
		if p.Ref.Kind != nil && *p.Ref.Kind != "Gateway" {
			fmt.Fprintf(out, "  parent %s %s of %s\n", *p.Ref.Kind, p.Ref.Name, p.Gateway)
		} else {
			fmt.Fprintf(out, "  parent %s\n", p.Gateway)
		}
		printConditions(out, "    ", p.Conditions)
	}
	for _, a := range v.Ancestors {
		fmt.Fprintf(out, "  ancestor %s\n", a.Gateway)
		printConditions(out, "    ", a.Conditions)
	}
}

// printConditions leaves out those that are as always: a story shows what is special.
func printConditions(out *bytes.Buffer, indent string, conditions []routing.Condition) {
	for _, c := range conditions {
		usual := c.Type == "Accepted" && c.Reason == "Accepted" && !strings.Contains(c.Message, ". ") || c.Type == "ResolvedRefs" && c.Reason == "ResolvedRefs" ||
			c.Type == "Conflicted" && c.Reason == "NoConflicts"
		if !usual {
			fmt.Fprintf(out, "%s%s=%s %s: %s\n", indent, c.Type, c.Status, c.Reason, c.Message)
		}
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
