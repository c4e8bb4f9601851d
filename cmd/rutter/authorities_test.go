package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// trust makes certificates the authorities of the system that Envoy runs on, by a mount
// that rutter and its children alone have.
func (r *rig) trust(certificates ...[]byte) {
	r.t.Helper()
	file := r.path("authorities.pem")
	must(r.t, os.WriteFile(file, []byte(joined(certificates)), 0o600))
	unshare := []string{"unshare", "--mount"}
	if os.Getuid() != 0 {
		unshare = append(unshare, "--user", "--map-root-user")
	}
	const mount = `mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@"`
	within := append(unshare, "sh", "-c", mount, file)
	if out, err := exec.CommandContext(r.t.Context(), within[0], append(within[1:], "true")...).CombinedOutput(); err != nil {
		r.t.Skipf("a mount of one's own cannot be had here: %v: %s", err, out)
	}
	r.within = within
}

func joined(certificates [][]byte) string {
	var out strings.Builder
	for _, c := range certificates {
		out.Write(c)
	}
	return out.String()
}

// keyServer serves keys over TLS, and notes by which names it was asked for.
func keyServer(t *testing.T, keys string, cert, key []byte) (server *httptest.Server, names func() []string) {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	must(t, err)
	var mu sync.Mutex
	var asked []string
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, q.TLS.ServerName)
		_, _ = io.WriteString(w, keys)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return asked
	}
}

func TestKeysOfTokensAreFetchedOverTLSFromWhomTheSystemTrusts(t *testing.T) {
	for _, c := range []struct {
		what        string
		host        string // of the URL
		certificate string // is for this name
		trusted     bool
		name        string // that Envoy asks the server for
		want        int
	}{
		{"an address", "127.0.0.1", "127.0.0.1", true, "", 200},
		{"a name", "localhost", "localhost", true, "localhost", 200},
		{"a certificate for another name", "localhost", "other.test", true, "", 401},
		{"a certificate for another address", "127.0.0.1", "127.0.0.2", true, "", 401},
		{"an authority that the system does not trust", "127.0.0.1", "127.0.0.1", false, "", 401},
	} {
		t.Run(c.what, func(t *testing.T) {
			r, i := newRig(t), newIssuer(t)
			cert, key := gwtest.Certificate(t, c.certificate)
			trusted := cert
			if !c.trusted {
				trusted, _ = gwtest.Certificate(t, c.certificate)
			}
			r.trust(trusted)
			server, names := keyServer(t, i.keys(), cert, key)
			url := strings.Replace(server.URL, "127.0.0.1", c.host, 1) + "/keys"
			r.save("gateway", fmt.Sprintf(sharedGateway, "{url: "+url+"}", r.port))
			r.save("acme", r.tenantManifest("acme", "tenant: acme"))
			r.save("zeta", r.tenantManifest("zeta", "tenant: zeta"))
			r.start()
			acme := i.token(map[string]any{"tenant": "acme"})
			r.eventually("a tenant's own token", func() error {
				status, err := r.ask("acme.example.com", acme)
				if err == nil && status != c.want {
					err = fmt.Errorf("it gets %d, want %d", status, c.want)
				}
				return err
			})
			forbidden := map[int]int{200: 403, 401: 401}[c.want]
			for token, want := range map[string]int{acme: forbidden, "": 401, newIssuer(t).token(map[string]any{"tenant": "zeta"}): 401} {
				if status, err := r.ask("zeta.example.com", token); err != nil || status != want {
					t.Errorf("zeta gets %d (%v), want %d", status, err, want)
				}
			}
			switch asked := names(); {
			case c.want != 200 && len(asked) > 0:
				t.Errorf("the server was trusted with %d requests", len(asked))
			case c.want == 200 && (len(asked) == 0 || asked[0] != c.name):
				t.Errorf("it was asked for by %q, want %q", asked, c.name)
			}
			r.verified()
		})
	}
}

// WellKnownCACertificates: System, and the backend of somebody whom the system trusts.
func TestABackendThatTheSystemTrustsIsReached(t *testing.T) {
	r := newRig(t)
	cert, key := gwtest.Certificate(t, "secure.internal")
	other, otherKey := gwtest.Certificate(t, "secure.internal")
	r.trust(cert)
	trusted, stranger := r.secureBackend(cert, key), r.secureBackend(other, otherKey)
	r.save("gateway", r.gateway())
	for name, b := range map[string]*secureBackend{"trusted": trusted, "stranger": stranger} {
		r.save(name, routeManifest(name, "/", b.port())+strings.Replace(policyManifest(name, "secure.internal"),
			`caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]`, "wellKnownCACertificates: System", 1))
	}
	r.start()
	r.serves("trusted.example.com", "/", 200)
	r.serves("stranger.example.com", "/", 503)
	if _, body, err := r.get("trusted.example.com", "/"); err != nil || body != "secure.internal" {
		t.Error(errors.Join(err, fmt.Errorf("the backend was asked for by %q", body)))
	}
	r.verified()
}
