package endpoints

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/events"
)

// shown is an assignment as tests read it: "zone: address:port …" per locality.
func shown(t *testing.T, a Assignment) string {
	t.Helper()
	var m endpointv3.ClusterLoadAssignment
	if err := proto.Unmarshal(a.Body, &m); err != nil {
		t.Fatal(err)
	}
	if m.ClusterName != a.Name {
		t.Errorf("assignment %s names cluster %s", a.Name, m.ClusterName)
	}
	var zones []string
	for _, l := range m.Endpoints {
		line := l.Locality.Zone + ":"
		for _, e := range l.LbEndpoints {
			s := e.GetEndpoint().Address.GetSocketAddress()
			line += fmt.Sprintf(" %s:%d", s.Address, s.GetPortValue())
		}
		zones = append(zones, line)
	}
	return strings.Join(zones, " | ")
}

// endpoint is an address with conditions: r(eady), n(ot ready), s(erving while
// terminating), t(erminating and no longer serving), and a zone.
func endpoint(address, condition, zone string) discoveryv1.Endpoint {
	is := func(letters string) *bool { b := strings.Contains(letters, condition); return &b }
	e := discoveryv1.Endpoint{Addresses: []string{address}, Zone: &zone}
	if condition != "" {
		e.Conditions = discoveryv1.EndpointConditions{Ready: is("r"), Serving: is("rs"), Terminating: is("st")}
	}
	return e
}

func sliceEvent(t *testing.T, kind events.Type, name, service, portName string, port int32, endpoints ...discoveryv1.Endpoint) events.Event {
	t.Helper()
	s := discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
		Endpoints:   endpoints,
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return events.Event{Type: kind, Key: events.Key{Resource: events.EndpointSlices, Namespace: "ns", Name: name}, Data: data}
}

func apply(t *testing.T, table *Table, all ...events.Event) map[string]string {
	t.Helper()
	for _, e := range all {
		if err := table.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]string{}
	for _, a := range table.Take() {
		out[a.Name] = shown(t, a)
	}
	return out
}

func TestEndpointsAreChosenAsKubeProxyDoes(t *testing.T) {
	cases := map[string]struct {
		endpoints []discoveryv1.Endpoint
		want      string
	}{
		"unset conditions mean ready":         {[]discoveryv1.Endpoint{endpoint("10.0.0.1", "", "a")}, "a: 10.0.0.1:80"},
		"not ready takes nothing":             {[]discoveryv1.Endpoint{endpoint("10.0.0.1", "n", "a")}, ""},
		"ready is preferred to draining":      {[]discoveryv1.Endpoint{endpoint("10.0.0.2", "s", "a"), endpoint("10.0.0.1", "r", "a")}, "a: 10.0.0.1:80"},
		"draining is used when none is ready": {[]discoveryv1.Endpoint{endpoint("10.0.0.2", "s", "a"), endpoint("10.0.0.1", "n", "a")}, "a: 10.0.0.2:80"},
		"terminated takes nothing":            {[]discoveryv1.Endpoint{endpoint("10.0.0.2", "t", "a")}, ""},
		"no address is skipped":               {[]discoveryv1.Endpoint{endpoint("nonsense", "r", "a")}, ""},
		"zones are grouped and in order": {
			[]discoveryv1.Endpoint{endpoint("10.0.0.3", "r", "b"), endpoint("10.0.0.2", "r", "a"), endpoint("10.0.0.1", "r", "b")},
			"a: 10.0.0.2:80 | b: 10.0.0.1:80 10.0.0.3:80",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := apply(t, NewTable(nil), sliceEvent(t, events.ObjectApplied, "s1", "web", "", 80, c.endpoints...))
			if want := map[string]string{"ns/web/-": c.want}; !reflect.DeepEqual(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestSlicesOfAServiceAreSummedAndADuplicateCountsOnce(t *testing.T) {
	table := NewTable(nil)
	got := apply(t, table,
		sliceEvent(t, events.ObjectBaseline, "s1", "web", "http", 80, endpoint("10.0.0.1", "r", "a"), endpoint("10.0.0.2", "n", "a")),
		sliceEvent(t, events.ObjectApplied, "s2", "web", "http", 80, endpoint("10.0.0.1", "r", "a"), endpoint("10.0.0.3", "r", "a")))
	if want := "a: 10.0.0.1:80 10.0.0.3:80"; got["ns/web/http"] != want {
		t.Errorf("got %q, want %q", got["ns/web/http"], want)
	}
	got = apply(t, table, sliceEvent(t, events.ObjectDeleted, "s1", "web", "http", 80))
	if len(got) != 0 {
		t.Errorf("an assignment whose bytes did not change was reported: %q", got)
	}
	got = apply(t, table, sliceEvent(t, events.ObjectDeleted, "s2", "web", "http", 80))
	if want := map[string]string{"ns/web/http": ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want an empty assignment", got)
	}
}

func TestASliceThatMovesToAnotherServiceLeavesTheOld(t *testing.T) {
	table := NewTable(nil)
	apply(t, table, sliceEvent(t, events.ObjectApplied, "s1", "web", "http", 80, endpoint("10.0.0.1", "r", "a")))
	got := apply(t, table, sliceEvent(t, events.ObjectApplied, "s1", "api", "http", 80, endpoint("10.0.0.1", "r", "a")))
	if want := map[string]string{"ns/web/http": "", "ns/api/http": "a: 10.0.0.1:80"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnUnreadableSliceLeavesTheLastOneInForce(t *testing.T) {
	table := NewTable(nil)
	good := sliceEvent(t, events.ObjectApplied, "s1", "web", "http", 80, endpoint("10.0.0.1", "r", "a"))
	apply(t, table, good)
	good.Data = []byte(`{"endpoints": 7}`)
	if err := table.Apply(good); err == nil {
		t.Error("no error for a slice that is none")
	}
	if got := table.Take(); len(got) != 0 {
		t.Errorf("it changed %v", got)
	}
}

// Whatever the order and batching of the events, the table is that of the last
// state of each slice.
func TestOrderAndBatchingDoNotMatter(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	incremental := NewTable(nil)
	for range 500 {
		kind := events.ObjectApplied
		if rng.IntN(4) == 0 {
			kind = events.ObjectDeleted
		}
		var eps []discoveryv1.Endpoint
		for range rng.IntN(4) {
			eps = append(eps, endpoint(fmt.Sprintf("10.0.0.%d", rng.IntN(5)), string("rnst"[rng.IntN(4)]), string("ab"[rng.IntN(2)])))
		}
		e := sliceEvent(t, kind, fmt.Sprintf("s%d", rng.IntN(6)), fmt.Sprintf("svc%d", rng.IntN(3)), []string{"", "http"}[rng.IntN(2)], 80, eps...)
		if err := incremental.Apply(e); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(3) == 0 {
			incremental.Take()
		}
	}
	incremental.Take()
	scratch := NewTable(incremental.Slices())
	scratch.Take()
	if a, b := incremental.All(), scratch.All(); !reflect.DeepEqual(a, b) {
		t.Errorf("incremental and from scratch differ:\n%v\n%v", a, b)
	}
}
