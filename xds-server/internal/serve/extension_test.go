package serve

import (
	"slices"
	"strconv"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// A filter that no listener has any more is still that of connections that drain: Envoy
// answers them 500 where it is taken away.
func TestAFilterIsNeverTakenAwayUnderAListener(t *testing.T) {
	st, h, c := store.New(), sample.NewHistory("i"), newClient(time.Now)
	listener := sample.Listener("http", 8080, "")
	filter := sample.Resource(store.ExtensionType, "jwt", &corev3.TypedExtensionConfig{Name: "jwt"})
	changed := sample.Resource(store.ExtensionType, "jwt", &corev3.TypedExtensionConfig{Name: "jwt2"})
	step := func(request *discoveryv3.DeltaDiscoveryRequest, world ...routing.Resource) (sent []string) {
		t.Helper()
		if world != nil {
			if err := st.Take(h.Publish(sample.World{gateway: world})); err != nil {
				t.Fatal(err)
			}
		}
		st.ReplaceEndpoints(nil)
		st.Read(gateway, func(now *store.Reading) {
			out, err := c.step(now, request, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out {
				for _, resource := range r.resources {
					sent = append(sent, resource.Name)
				}
				for _, name := range r.removed {
					sent = append(sent, "-"+name)
				}
			}
		})
		checkInvariants(t, c)
		return sent
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: sent %v, want %v", what, got, want)
		}
	}
	ask := func(typ string, names ...string) *discoveryv3.DeltaDiscoveryRequest {
		return &discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: "a", Cluster: gateway}, TypeUrl: typ, ResourceNamesSubscribe: names}
	}
	want("clusters", step(ask(store.ClusterType), listener, filter))
	want("listeners", step(ask(store.ListenerType)), "http")
	for nonce := range uint64(2) {
		typ := []string{store.ClusterType, store.ListenerType}[nonce]
		step(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typ, ResponseNonce: strconv.FormatUint(nonce+1, 10)})
	}
	if c.held.Sequence != 0 {
		t.Error("it counts as held without the filter that a listener names")
	}
	want("the filter that a listener names", step(ask(store.ExtensionType, "jwt")), "jwt")
	step(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: store.ExtensionType, ResponseNonce: "3"})
	if c.held.Sequence != 1 {
		t.Errorf("with it version %d is held", c.held.Sequence)
	}
	want("a change of both", step(nil, sample.Listener("http", 8080, "other"), changed), "jwt", "http")
	want("neither has it any more", step(nil, listener), "http")
	want("who asks anew is told that there is none", step(ask(store.ExtensionType, "jwt")), "-jwt")
}
