package xdsserver

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// Of each type something is published that Envoy refuses, in two forms one after the
// other, beside good neighbours under load; and each time it is named.
func TestWhatEnvoyRefusesHarmsNoNeighbour(t *testing.T) {
	s := newSystem(t)
	server := s.serve("127.0.0.1:0", s.open)
	envoy := startEnvoy(t, server.address)
	s.slices(backend(t, "a"), backend(t, "b"))
	trust, cert := s.certificate("cert")
	good := slices.Concat([]routing.Resource{
		sample.Listener("http", 0, ""), sample.Listener("https", 0, "", "cert"), cert,
		sample.Listener("plain", 0, "routes"), sample.Routes("routes", "/", "c-b"),
	}, site("one", "a"), site("two", "b"))
	s.publish(good...)
	neighbours := gwtest.NewLoad(t)
	for name, ask := range map[string]struct{ scheme, listener, host, want string }{
		"scopes": {"http", "http", "one", "a"}, "TLS": {"https", "https", "one", "a"}, "routes": {"http", "plain", "any", "b"},
	} {
		address := envoy.address(ask.listener)
		try := func() error {
			got, err := answer(t, ask.scheme, address, ask.host, trust)
			if err == nil && got != ask.want {
				err = fmt.Errorf("got %q, want %q", got, ask.want)
			}
			return err
		}
		gwtest.Eventually(t, name, try)
		neighbours.Add(name, try)
	}
	socket := func(port uint32) *corev3.Address {
		return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
		}}}
	}
	for kind, forms := range map[string][][]routing.Resource{
		store.ListenerType: {
			{sample.Resource(store.ListenerType, "bad", &listenerv3.Listener{Name: "bad", Address: socket(0)})}, // without filter chains
			{sample.Resource(store.ListenerType, "bad", &listenerv3.Listener{Name: "bad", Address: socket(1 << 16)})},
		},
		store.ScopeType: {
			{sample.Scope("bad", "", "c-a")}, {sample.Scope("bad", "", "c-b")},
		},
		store.RouteType: {
			{sample.Listener("asks", 0, "bad"), sample.Routes("bad", "", "c-a")}, {sample.Listener("asks", 0, "bad"), sample.Routes("bad", "", "c-b")},
		},
		store.ClusterType: {
			{sample.Resource(store.ClusterType, "bad", &clusterv3.Cluster{Name: "bad", ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}})}, // without a source
			{sample.Cluster("bad", "ns/a/-", -time.Second)},
		},
		store.SecretType: {
			{sample.Listener("asks", 0, "", "bad"), sample.Authorities("bad", []byte("none"))},
			{sample.Listener("asks", 0, "", "bad"), sample.Secret("bad", []byte("none"), nil)},
		},
	} {
		t.Run(kind[strings.LastIndex(kind, ".")+1:], func(t *testing.T) {
			requests := neighbours.During(t, func() {
				for i := range 10 * len(forms) {
					form := forms[i%len(forms)]
					bad := form[len(form)-1]
					version := s.publish(slices.Concat(good, form)...)
					s.awaitReceipt(fmt.Sprintf("form %d is refused", i%len(forms)), func(r *routing.Receipt) bool {
						return holds(version)(r) && len(r.Envoys[0].Refused) == 1 && r.Envoys[0].Refused[0].Name == bad.Name && r.Envoys[0].Refused[0].Digest == bad.Digest
					})
				}
				version := s.publish(good...)
				s.awaitReceipt("nothing is refused", func(r *routing.Receipt) bool { return holds(version)(r) && len(r.Envoys[0].Refused) == 0 })
			})
			t.Logf("%d requests", requests)
		})
	}
}
