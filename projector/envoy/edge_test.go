package envoy

import (
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/projector/parameters"
	"github.com/rutter-gateway/rutter/projector/route"
)

func TestAClassOverridesHowClientsAreTreated(t *testing.T) {
	ask := func(edge parameters.Edge, line string, headers ...string) int {
		w := newWorld(route.LayoutScoped, httpChain(80))
		w.gateways[testGateway].Edge = edge
		w.host("http-80", "a.test", entry(prefix("/"), &route.Rule{}))
		return do(t, serve(t, w, newBackends(t)).transport(80), request(t, line, headers...)).status
	}
	for _, c := range []struct {
		what    string
		edge    parameters.Edge
		line    string
		headers []string
		usual   int
		want    int
	}{
		{"escaped slashes", parameters.Edge{EscapedSlashes: "Reject"}, "GET a.test/x%2Fy", nil, 307, 400},
		{"escaped slashes that stay", parameters.Edge{EscapedSlashes: "Keep"}, "GET a.test/x%2Fy", nil, 307, 500},
		{"underscores", parameters.Edge{HeadersWithUnderscores: "Reject"}, "GET a.test/", []string{"a_b: c"}, 500, 400},
		{"the size of headers", parameters.Edge{MaxRequestHeadersKiB: new(uint32(1))}, "GET a.test/", []string{"long: " + strings.Repeat("x", 2048)}, 500, 431},
		{"the number of headers", parameters.Edge{MaxRequestHeaders: new(uint32(4))}, "GET a.test/", []string{"a: 1", "b: 2", "c: 3", "d: 4"}, 500, 431},
		{"all that has no answer of its own", parameters.Edge{
			TrustedHops: 1, IdleTimeout: new(time.Minute), StreamIdleTimeout: new(time.Minute), RequestHeadersTimeout: new(time.Second), MaxConcurrentStreams: new(uint32(7)),
		}, "GET a.test/", nil, 500, 500},
	} {
		if usual := ask(parameters.Edge{}, c.line, c.headers...); usual != c.usual {
			t.Errorf("%s: usually %d, want %d", c.what, usual, c.usual)
		}
		if got := ask(c.edge, c.line, c.headers...); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}
