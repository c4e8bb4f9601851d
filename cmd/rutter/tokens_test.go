package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// reply is what is looked at of an answer, and of what the backend saw of the request.
type reply struct {
	status int
	header http.Header
	saw    gwtest.Echo
}

// send sends a request to acme.example.com.
func (r *rig) send(method, path string, headers map[string]string) (a reply, err error) {
	request, err := http.NewRequestWithContext(r.t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", r.port, path), http.NoBody)
	if err != nil {
		return a, err
	}
	request.Host = "acme.example.com"
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	a.status, a.header = response.StatusCode, response.Header
	body, err := io.ReadAll(response.Body)
	if err == nil && a.status == http.StatusOK && len(body) > 0 {
		err = json.Unmarshal(body, &a.saw)
	}
	return a, err
}

// tokenRig serves the tenant acme with what the class says of tokens besides.
func tokenRig(t *testing.T, i *issuer, says string) *rig {
	t.Helper()
	r := newRig(t)
	r.save("gateway", strings.Replace(fmt.Sprintf(sharedGateway, "{configMapRef: {namespace: infra, name: keys}}", r.port), "audiences: [shop]", "audiences: [shop], "+says, 1))
	r.save("keys", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keys, namespace: infra}\ndata: {jwks.json: '"+i.keys()+"'}\n")
	const policy = "  - filters: [{type: CORS, cors: {allowOrigins: [\"http://page.test\"], allowMethods: [GET]}}]\n    matches:"
	r.save("acme", strings.Replace(r.tenantManifest("acme", "tenant: acme"), "  - matches:", policy, 1))
	r.start()
	return r
}

func TestATokenIsWhereTheClassSays(t *testing.T) {
	i := newIssuer(t)
	token := i.token(map[string]any{"tenant": "zeta", "team": "acme"})
	r := tokenRig(t, i, "header: X-Token, claim: team")
	gets := func(path string, headers map[string]string, want int) (saw gwtest.Echo) {
		t.Helper()
		r.eventually(fmt.Sprintf("%s with %d headers gets %d", path, len(headers), want), func() error {
			a, err := r.send(http.MethodGet, path, headers)
			if err == nil && a.status != want {
				err = fmt.Errorf("it gets %d", a.status)
			}
			saw = a.saw
			return err
		})
		return saw
	}
	if saw := gets("/", map[string]string{"X-Token": token, "X-Other": "1"}, 200); saw.Headers.Get("X-Token") != "" || saw.Headers.Get("X-Other") != "1" {
		t.Errorf("the backend sees %v", saw.Headers)
	}
	gets("/", map[string]string{"X-Token": "Bearer " + token}, 401)
	gets("/", map[string]string{"Authorization": "Bearer " + token}, 401)
	gets("/?access_token="+token, nil, 401)
	gets("/", map[string]string{"X-Token": i.token(map[string]any{"tenant": "acme", "team": "zeta"})}, 403)
	gets("/", map[string]string{"X-Token": i.token(map[string]any{"tenant": "acme"})}, 403)
}

func TestABackendSeesATokenWhereTheClassSaysSo(t *testing.T) {
	i := newIssuer(t)
	r := tokenRig(t, i, "forward: true")
	authorization := "Bearer " + i.token(map[string]any{"tenant": "acme"})
	r.eventually("the token is forwarded", func() error {
		a, err := r.send(http.MethodGet, "/", map[string]string{"Authorization": authorization})
		if err == nil && a.saw.Headers.Get("Authorization") != authorization {
			err = fmt.Errorf("the backend sees %v", a.saw.Headers)
		}
		return err
	})
}

func TestGRPCClientsAndPreflightsAreAnsweredAsTheyExpect(t *testing.T) {
	i := newIssuer(t)
	r := tokenRig(t, i, "forward: false")
	for _, c := range []struct {
		what, method string
		headers      map[string]string
		status       int
		grpc         string
	}{
		{"a call without a token", http.MethodPost, map[string]string{"Content-Type": "application/grpc"}, 200, "16"}, // UNAUTHENTICATED
		{
			"a call with another tenant's token", http.MethodPost,
			map[string]string{"Content-Type": "application/grpc", "Authorization": "Bearer " + i.token(map[string]any{"tenant": "zeta"})}, 200, "7", // PERMISSION_DENIED
		},
		{"a preflight", http.MethodOptions, map[string]string{"Origin": "http://page.test", "Access-Control-Request-Method": "GET"}, 200, ""},
		{"a preflight that no policy answers", http.MethodOptions, map[string]string{"Access-Control-Request-Method": "GET"}, 401, ""},
		{"the request itself", http.MethodGet, map[string]string{"Origin": "http://page.test"}, 401, ""},
	} {
		a, err := r.send(c.method, "/", c.headers)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if got := a.header.Get("Grpc-Status"); a.status != c.status || got != c.grpc {
			t.Errorf("%s gets %d, grpc-status %q; want %d, %q", c.what, a.status, got, c.status, c.grpc)
		}
		if allowed := a.header.Get("Access-Control-Allow-Origin"); c.what == "a preflight" && allowed != "http://page.test" {
			t.Errorf("%s allows %q", c.what, allowed)
		}
	}
}
