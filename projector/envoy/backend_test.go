package envoy

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/rutter-gateway/rutter/events/routing"
)

// echo is what a backend saw of a request.
type echo struct {
	Backend, Method, URI, Host, Proto string
	ServerName                        string // over TLS
	Header                            http.Header
}

// backends are real HTTP servers, one per cluster name.
type backends struct {
	addresses map[string][]string

	mu   sync.Mutex
	seen map[string]int // requests by backend
}

// newBackends starts an echo server for each name.
func newBackends(t testing.TB, names ...string) *backends {
	t.Helper()
	b := &backends{addresses: map[string][]string{}, seen: map[string]int{}}
	for _, name := range names {
		b.start(t, name, b.echo(t, name))
	}
	return b
}

// start adds an endpoint to a cluster. It speaks HTTP/1.1 and HTTP/2 without TLS.
func (b *backends) start(t testing.TB, name string, handler http.Handler) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	b.addresses[name] = append(b.addresses[name], s.Listener.Addr().String())
}

// refuse adds an endpoint to a cluster where nobody listens.
func (b *backends) refuse(t testing.TB, name string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addresses[name] = append(b.addresses[name], l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func (b *backends) echo(t testing.TB, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.count(name)
		if r.Header.Get(scopeHeader) != "" {
			t.Errorf("backend %s sees %s", name, scopeHeader)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-From", name)
		saw := echo{Backend: name, Method: r.Method, URI: r.RequestURI, Host: r.Host, Proto: r.Proto, Header: r.Header}
		if r.TLS != nil {
			saw.ServerName = r.TLS.ServerName
		}
		data, err := json.Marshal(saw)
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(data) // a client that went away is no fault of the test's
	})
}

func (b *backends) count(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[name]++
}

func (b *backends) requests(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[name]
}

// endpoints are the EDS resources of all clusters of a world.
func (b *backends) endpoints(t testing.TB, w *world) []routing.Resource {
	t.Helper()
	var out []routing.Resource
	for id, cluster := range w.clusters {
		assignment := &endpointv3.ClusterLoadAssignment{ClusterName: cluster.Endpoints, Endpoints: []*endpointv3.LocalityLbEndpoints{{}}}
		for _, address := range b.addresses[id.Name] {
			tcp, err := net.ResolveTCPAddr("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			assignment.Endpoints[0].LbEndpoints = append(assignment.Endpoints[0].LbEndpoints, &endpointv3.LbEndpoint{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: &corev3.Address{
					Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
						Address: tcp.IP.String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(tcp.Port)},
					}},
				}}},
			})
		}
		r, err := resource(TypeEndpoint, cluster.Endpoints, assignment, cluster.Service)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}
