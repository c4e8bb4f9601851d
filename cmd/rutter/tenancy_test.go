package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// issuer signs tokens (ES256).
type issuer struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return &issuer{t, key}
}

func (i *issuer) keys() string {
	point, err := i.key.PublicKey.Bytes() // 4, x, y
	must(i.t, err)
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","alg":"ES256","x":%q,"y":%q}]}`, encode(point[1:33]), encode(point[33:]))
}

// token has usual claims, less what claims says otherwise.
func (i *issuer) token(claims map[string]any) string {
	all := map[string]any{"iss": "https://issuer.test", "aud": "shop", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	body, err := json.Marshal(all)
	must(i.t, err)
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"ES256","kid":"k","typ":"JWT"}`)) + "." + encode(body)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	must(i.t, err)
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + encode(signature)
}

// ask is the status of a request with a token, "" for none.
func (r *rig) ask(host, token string) (int, error) {
	return r.askOver(http.DefaultTransport, host, token)
}

func (r *rig) askOver(transport http.RoundTripper, host, token string) (int, error) {
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", r.port), http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Host = host
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

const sharedGateway = `apiVersion: rutter.dev/v1alpha1
kind: RutterClass
metadata: {name: tenants}
spec:
  tenancy:
    mode: authHeader
    tenantIDLabel: tenant
    allowedNamespaces: [shared]
    authHeader: {issuer: "https://issuer.test", audiences: [shop], jwks: %s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: rutter}
spec:
  controllerName: rutter.dev/gateway-controller
  parametersRef: {group: rutter.dev, kind: RutterClass, name: tenants}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: infra}
spec:
  gatewayClassName: rutter
  listeners: [{name: http, port: %d, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
`

// tenantManifest is a namespace of a tenant with a route.
func (r *rig) tenantManifest(name, label string) string {
	text := strings.ReplaceAll(routeManifest(name, "/", r.backend(name)), "metadata: {name: "+name, "metadata: {namespace: "+name+", name: "+name)
	text = strings.Replace(text, "parentRefs: [{name: gw}]", "parentRefs: [{name: gw, namespace: infra}]", 1)
	return fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {%s}}\n---\n", name, label) + text
}

func TestTenantsShareAGatewayAndARequestReachesOnlyItsOwn(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, i.keys()) }))
	t.Cleanup(server.Close)
	for name, keys := range map[string]string{
		"ConfigMap": "{configMapRef: {namespace: infra, name: keys}}", "URL": "{url: " + server.URL + "/keys}",
	} {
		for _, layout := range []string{"scoped", "plain"} {
			t.Run(name+" "+layout, func(t *testing.T) {
				r := newRig(t)
				r.save("gateway", fmt.Sprintf(sharedGateway, keys, r.port))
				r.save("keys", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keys, namespace: infra}\ndata: {jwks.json: '"+i.keys()+"'}\n")
				r.save("acme", r.tenantManifest("acme", "tenant: acme-inc"))
				r.save("zeta", r.tenantManifest("zeta", "tenant: zeta"))
				r.save("shared", r.tenantManifest("shared", ""))
				r.save("nobody", r.tenantManifest("nobody", ""))
				r.start("--route-layout", layout)
				acme := i.token(map[string]any{"tenant": "acme-inc"})
				r.eventually("a tenant reaches its own", func() error {
					status, err := r.ask("acme.example.com", acme)
					if err == nil && status != 200 {
						err = fmt.Errorf("it gets %d", status)
					}
					return err
				})
				for _, c := range []struct {
					what, host, token string
					want              int
				}{
					{"no token", "acme.example.com", "", 401},
					{"another tenant's token", "zeta.example.com", acme, 403},
					{"one's own, in capitals", "ACME.example.com", acme, 200},
					{"another's, in capitals", "ZETA.example.com", acme, 403},
					{"a list of tenants", "zeta.example.com", i.token(map[string]any{"tenant": []string{"acme-inc", "zeta"}}), 200},
					{"no tenant", "acme.example.com", i.token(nil), 403},
					{"what is shared", "shared.example.com", acme, 200},
					{"what is shared, no token", "shared.example.com", "", 401},
					{"a namespace without a tenant", "nobody.example.com", acme, 404},
					{"another issuer", "acme.example.com", i.token(map[string]any{"tenant": "acme-inc", "iss": "https://else.test"}), 401},
					{"another audience", "acme.example.com", i.token(map[string]any{"tenant": "acme-inc", "aud": "else"}), 403},
					{"expired", "acme.example.com", i.token(map[string]any{"tenant": "acme-inc", "exp": time.Now().Add(-time.Hour).Unix()}), 401},
					{"another key", "acme.example.com", other.token(map[string]any{"tenant": "acme-inc"}), 401},
					{"no such host", "none.example.com", "", 401},
				} {
					if status, err := r.ask(c.host, c.token); status != c.want || err != nil {
						t.Errorf("%s: %d, %v; want %d", c.what, status, err, c.want)
					}
				}
				r.statusHas("httproutes/nobody/nobody.yaml", "reason: NotAllowedByListeners", "has no label tenant")
				r.verified()
			})
		}
	}
}

func TestAClassWhoseKeysAreMissingIsNotAccepted(t *testing.T) {
	r := newRig(t)
	r.save("gateway", fmt.Sprintf(sharedGateway, "{configMapRef: {namespace: infra, name: keys}}", r.port))
	r.save("acme", r.tenantManifest("acme", "tenant: acme"))
	r.launch()
	r.statusHas("gatewayclasses/-/rutter.yaml", "reason: InvalidParameters", "ConfigMap infra/keys does not exist")
	if status, err := r.ask("acme.example.com", ""); err == nil {
		t.Errorf("requests are answered with %d", status)
	}
	i := newIssuer(t)
	r.save("keys", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keys, namespace: infra}\ndata: {jwks.json: '"+i.keys()+"'}\n")
	r.eventually("it heals", func() error {
		status, err := r.ask("acme.example.com", i.token(map[string]any{"tenant": "acme"}))
		if err == nil && status != 200 {
			err = errors.New(http.StatusText(status))
		}
		return err
	})
}

// What another tenant asks for on one's Gateway is not served there, whatever it asks for.
func TestRoutesOfAnotherTenantAreNotServed(t *testing.T) {
	for mode, tenancy := range map[string]string{
		"namespace":     "{mode: namespace, allowedNamespaces: [shared]}",
		"labelSelector": "{mode: labelSelector, tenantIDLabel: tenant, allowedNamespaces: [shared]}",
	} {
		t.Run(mode, func(t *testing.T) {
			r := newRig(t)
			_, rest, _ := strings.Cut(fmt.Sprintf(sharedGateway, "{}", r.port), "---\n")
			r.save("gateway", "apiVersion: rutter.dev/v1alpha1\nkind: RutterClass\nmetadata: {name: tenants}\nspec: {tenancy: "+tenancy+"}\n---\n"+rest)
			for name, label := range map[string]string{"infra": "tenant: acme", "acme": "tenant: acme", "zeta": "tenant: zeta", "nobody": "", "shared": "tenant: zeta"} {
				r.save(name, r.tenantManifest(name, label))
			}
			r.start()
			r.serves("infra.example.com", "/", 200)
			r.serves("shared.example.com", "/", 200)
			others := []string{"zeta", "nobody"}
			if mode == "namespace" {
				others = append(others, "acme")
			} else {
				r.serves("acme.example.com", "/", 200)
			}
			for _, other := range others {
				r.statusHas("httproutes/"+other+"/"+other+".yaml", "reason: NotAllowedByListeners", "is not of the tenant")
				if status, _, err := r.get(other+".example.com", "/"); err != nil || status != 404 {
					t.Errorf("%s gets %d (%v), want 404", other, status, err)
				}
			}
			// It takes nothing from the owner's hostname either.
			r.save("zeta", strings.Replace(r.tenantManifest("zeta", "tenant: zeta"), "zeta.example.com", "infra.example.com", 1))
			r.statusHas("httproutes/zeta/zeta.yaml", "observedGeneration: 2")
			r.statusHas("gateways/infra/gw.yaml", fmt.Sprintf("attachedRoutes: %d", 5-len(others)))
			if status, body, err := r.get("infra.example.com", "/"); err != nil || status != 200 || !strings.Contains(body, `"backend":"infra"`) {
				t.Errorf("the hostname of the owner is answered with %d, %q, %v", status, body, err)
			}
			text, err := os.ReadFile(filepath.Join(r.data, "status/gateways/infra/gw.yaml"))
			for _, other := range others {
				if err != nil || strings.Contains(string(text), other) {
					t.Errorf("the Gateway reveals %s (%v):\n%s", other, err, text)
				}
			}
			r.verified()
		})
	}
}

func TestKeysOfTokensAreReplacedWithoutDroppingAConnection(t *testing.T) {
	for _, layout := range []string{"scoped", "plain"} {
		t.Run(layout, func(t *testing.T) {
			r, first, second := newRig(t), newIssuer(t), newIssuer(t)
			publish := func(keys string) {
				t.Helper()
				r.save("keys", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keys, namespace: infra}\ndata: {jwks.json: '"+keys+"'}\n")
			}
			r.save("gateway", fmt.Sprintf(sharedGateway, "{configMapRef: {namespace: infra, name: keys}}", r.port))
			r.save("acme", r.tenantManifest("acme", "tenant: acme"))
			publish(first.keys())
			r.start("--route-layout", layout)
			kept := &keptTransport{}
			t.Cleanup(kept.CloseIdleConnections)
			gets := func(by *issuer, want int) {
				t.Helper()
				r.eventually(fmt.Sprintf("a request gets %d", want), func() error {
					status, err := r.askOver(kept, "acme.example.com", by.token(map[string]any{"tenant": "acme"}))
					if err == nil && status != want {
						err = fmt.Errorf("it gets %d", status)
					}
					return err
				})
			}
			gets(first, 200)
			gets(second, 401)
			publish(second.keys())
			gets(second, 200)
			gets(first, 401)
			publish(`{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]}`) // which Envoy refuses
			r.statusHas("gateways/infra/gw.yaml", "type: rutter.dev/Refused")
			gets(second, 200)
			publish(first.keys())
			gets(first, 200)
			gets(second, 401)
			if n := kept.dialled; n != 1 {
				t.Errorf("all that took %d connections, want 1", n)
			}
			r.verified()
			r.kill()
			r.start("--route-layout", layout)
			gets(first, 200)
			gets(second, 401)

			// Without tenants no token is needed; connections that are there do not fail meanwhile.
			_, rest, _ := strings.Cut(fmt.Sprintf(sharedGateway, "{}", r.port), "---\n")
			r.save("gateway", strings.Replace(rest, "\n  parametersRef: {group: rutter.dev, kind: RutterClass, name: tenants}", "", 1))
			r.eventually("no token is asked for", func() error {
				status, err := r.askOver(kept, "acme.example.com", "")
				if status == 500 {
					t.Fatal("a request got 500")
				}
				if err == nil && status != 200 {
					err = fmt.Errorf("it gets %d", status)
				}
				return err
			})
		})
	}
}

func TestAGatewayOutlivesTheParametersOfItsClass(t *testing.T) {
	r, i := newRig(t), newIssuer(t)
	parameters, rest, _ := strings.Cut(fmt.Sprintf(sharedGateway, "{configMapRef: {namespace: infra, name: keys}}", r.port), "---\n")
	r.save("parameters", parameters)
	r.save("gateway", rest)
	r.save("keys", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keys, namespace: infra}\ndata: {jwks.json: '"+i.keys()+"'}\n")
	r.save("acme", r.tenantManifest("acme", "tenant: acme"))
	r.save("zeta", r.tenantManifest("zeta", "tenant: zeta"))
	r.start()
	acme := i.token(map[string]any{"tenant": "acme"})
	isolated := func(when, zeta string) {
		t.Helper()
		for host, c := range map[string]struct {
			token string
			want  int
		}{"acme.example.com": {acme, 200}, zeta: {acme, 403}, "none.example.com": {"", 401}} {
			r.eventually(fmt.Sprintf("%s %s gets %d", when, host, c.want), func() error {
				status, err := r.ask(host, c.token)
				if err == nil && status != c.want {
					err = fmt.Errorf("it gets %d", status)
				}
				return err
			})
		}
	}
	isolated("at first", "zeta.example.com")
	if code, out := r.command("plan", "--delete", "rutterclass/tenants"); code != exitFound || !strings.Contains(out, "go on with the last parameters") {
		t.Errorf("plan exits with %d:\n%s", code, out)
	}
	r.remove("keys")
	r.statusHas("gatewayclasses/-/rutter.yaml", "reason: InvalidParameters", "ConfigMap infra/keys does not exist", "go on with the last parameters")
	r.remove("parameters")
	r.statusHas("gatewayclasses/-/rutter.yaml", "reason: InvalidParameters", "RutterClass tenants does not exist")
	r.save("beta", r.tenantManifest("beta", "tenant: beta"))
	isolated("with neither parameters nor keys, a new tenant", "beta.example.com")
	r.save("new", strings.Replace(gatewayManifest("new", gwtest.FreePort(t)), "name: new", "name: new, namespace: infra", 1))
	r.statusHas("gateways/infra/new.yaml", "reason: InvalidParameters", "The GatewayClass rutter is not accepted")
	r.kill()
	r.start()
	isolated("after a restart", "beta.example.com")
	r.verified()
}

func TestEachRequestIsLoggedAsJSONUnlessTheClassSaysOtherwise(t *testing.T) {
	r := newRig(t)
	r.save("gateway", r.gateway())
	r.save("web", routeManifest("web", "/", r.backend("web")))
	r.start()
	logged := func(what string, fits func(line string) bool) {
		r.eventually(what, func() error {
			if status, _, err := r.get("web.example.com", "/logged"); err != nil || status != 200 {
				return fmt.Errorf("%d, %w", status, err)
			}
			text, err := os.ReadFile(filepath.Join(r.data, "envoy", "default_gw.log"))
			if err == nil && !slices.ContainsFunc(strings.Split(string(text), "\n"), fits) {
				err = errors.New(string(text))
			}
			return err
		})
	}
	logged("JSON", func(line string) bool {
		var fields map[string]any
		return json.Unmarshal([]byte(line), &fields) == nil && fields["path"] == "/logged" && fields["response_code"] == 200.0 &&
			fields["upstream_cluster"] == "default/web/80" && fields["route"] == "default/web/0/0"
	})
	r.save("class", "apiVersion: rutter.dev/v1alpha1\nkind: RutterClass\nmetadata: {name: text}\nspec: {accessLog: {format: {text: 'own %REQ(:PATH)% %RESPONSE_CODE%'}}}\n")
	r.save("gateway", strings.Replace(r.gateway(), "gateway-controller}", "gateway-controller, parametersRef: {group: rutter.dev, kind: RutterClass, name: text}}", 1))
	logged("text", func(line string) bool { return line == "own /logged 200" })
	r.verified()
}
