package envoy

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/rutter-gateway/rutter/projector/route"
)

func TestCrossOriginPoliciesAnswerAsTheFilterIsDocumented(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	w.cluster("a", route.HTTP1)
	policies := map[string]route.CORS{
		"/list": {
			AllowOrigins: []string{"https://www.foo.com", "https://*.bar.com", "http://dev:8080", "https://odd.com:443"},
			AllowMethods: []string{"GET", "OPTIONS"}, AllowHeaders: []string{"x-1", "x-2"}, ExposeHeaders: []string{"x-3", "x-4"},
			AllowCredentials: true, MaxAge: 3600,
		},
		"/any":      {AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, ExposeHeaders: []string{"*"}},
		"/anycred":  {AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, ExposeHeaders: []string{"*"}, AllowCredentials: true},
		"/allhttps": {AllowOrigins: []string{"https://*"}},
		"/nobody":   {},
		"/many":     {AllowOrigins: make([]string, 64)},
	}
	for i := range policies["/many"].AllowOrigins {
		policies["/many"].AllowOrigins[i] = fmt.Sprintf("https://*.some-longer-name.of-number-%d.example.com:1234", i)
	}
	var entries []route.Entry
	for _, path := range []string{"/list", "/anycred", "/allhttps", "/any", "/nobody", "/many"} {
		policy := policies[path]
		entries = append(entries, entry(prefix(path), filtered(route.Filters{CORS: &policy}, "a")))
	}
	dead := filtered(route.Filters{CORS: new(policies["/any"])}, "")
	entries = append(entries, entry(prefix("/dead"), dead), entry(prefix("/"), rule("a")))
	w.host("http-80", "a.test", entries...)
	w.host("http-80", "*.w.test", entries...)
	const absent = "-"
	cases := []struct {
		path, origin, method, headers string // method "" is no preflight
		status                        int
		want                          map[string]string
	}{
		{"/list", "https://www.foo.com", "GET", "x-1", 200, map[string]string{
			"allow-origin": "https://www.foo.com", "allow-methods": "GET, OPTIONS", "allow-headers": "x-1, x-2",
			"expose-headers": "x-3, x-4", "max-age": "3600", "allow-credentials": "true"}},
		{"/list", "https://a.b.bar.com", "GET", "", 200, map[string]string{"allow-origin": "https://a.b.bar.com"}},
		{"/list", "https://bar.com", "GET", "", 403, map[string]string{"allow-origin": absent, "allow-methods": absent, "allow-credentials": absent}},
		{"/list", "https://evil.com/.bar.com", "GET", "", 403, nil},
		{"/list", "http://www.foo.com", "GET", "", 403, nil},
		{"/list", "https://www.foo.com:443", "GET", "", 200, map[string]string{"allow-origin": "https://www.foo.com:443"}},
		{"/list", "https://odd.com", "GET", "", 200, map[string]string{"allow-origin": "https://odd.com"}},
		{"/list", "https://www.foo.com:444", "GET", "", 403, nil},
		{"/list", "http://dev:8080", "GET", "", 200, nil},
		{"/list", "http://dev", "GET", "", 403, nil},
		{"/list", "https://www.foo.com", "", "", 200, map[string]string{"allow-origin": "https://www.foo.com", "allow-credentials": "true", "expose-headers": "x-3, x-4"}},
		{"/list", "https://evil.com", "", "", 200, map[string]string{"allow-origin": absent, "allow-credentials": absent}},
		{"/any", "https://x.com:12345", "PUT", "x-9", 200, map[string]string{"allow-origin": "https://x.com:12345", "allow-methods": "PUT", "allow-headers": "x-9", "max-age": "5", "allow-credentials": absent, "expose-headers": "*"}},
		{"/any", "https://x.com", "PUT", "", 200, map[string]string{"allow-origin": "https://x.com", "allow-headers": absent}},
		{"/anycred", "https://x.com", "PUT", "x-9", 200, map[string]string{"allow-origin": "https://x.com", "allow-methods": "PUT", "allow-headers": "x-9", "allow-credentials": "true", "expose-headers": absent}},
		{"/anycred", "https://x.com", "PUT", "", 200, map[string]string{"allow-headers": absent, "allow-methods": "PUT"}},
		{"/allhttps", "https://[::1]", "GET", "", 200, map[string]string{"allow-origin": "https://[::1]"}},
		{"/allhttps", "http://a.com", "GET", "", 403, nil},
		{"/nobody", "https://a.com", "GET", "", 403, nil},
		{"/nobody", "https://a.com", "", "", 200, map[string]string{"allow-origin": absent}},
		{"/many", "https://x.some-longer-name.of-number-63.example.com:1234", "GET", "", 200, nil},
		{"/many", "https://x.some-longer-name.of-number-64.example.com:1234", "GET", "", 403, nil},
		{"/dead", "https://a.com", "GET", "", 200, map[string]string{"allow-origin": "https://a.com"}},
		{"/dead", "https://a.com", "", "", 500, nil},
		{"/free", "https://a.com", "", "", 200, map[string]string{"allow-origin": absent}},
	}
	eachLayout(t, w, newBackends(t, "a"), func(t *testing.T, p *proxy) {
		for _, host := range []string{"a.test", "A.TEST", "x.w.test"} {
			for _, c := range cases {
				method, headers := "GET", []string{"Origin: " + c.origin}
				if c.method != "" {
					method = "OPTIONS"
					headers = append(headers, "Access-Control-Request-Method: "+c.method)
				}
				if c.headers != "" {
					headers = append(headers, "Access-Control-Request-Headers: "+c.headers)
				}
				got := do(t, p.transport(80), request(t, method+" "+host+c.path, headers...))
				if got.status != c.status {
					t.Errorf("%s%s %+v: status %d, want %d", host, c.path, c, got.status, c.status)
				}
				for name, want := range c.want {
					values := got.header[http.CanonicalHeaderKey("access-control-"+name)]
					if want == absent && len(values) > 0 || want != absent && (len(values) != 1 || values[0] != want) {
						t.Errorf("%s%s from %s (%s %s): %s is %q, want %q", host, c.path, c.origin, c.method, c.headers, name, values, want)
					}
				}
			}
		}
	})
}

func TestTheFirstCORSRouteChangesNoListener(t *testing.T) {
	w := newWorld(route.LayoutPlain, httpChain(80))
	w.host("http-80", "a.test", entry(prefix("/"), rule("a")))
	for _, layout := range []route.Layout{route.LayoutPlain, route.LayoutScoped} {
		before := outputs(t, w.withLayout(layout), route.Change{Gateways: []string{testGateway}})[0]
		w.host("http-80", "a.test", entry(prefix("/"), filtered(route.Filters{CORS: &route.CORS{AllowOrigins: []string{"*"}}}, "a")))
		after := outputs(t, w.withLayout(layout), route.Change{Gateways: []string{testGateway}})[0]
		if before.ID.Kind != KindListeners || before.Resources[0].Digest != after.Resources[0].Digest {
			t.Errorf("%s: the listener changed", layout)
		}
	}
}
