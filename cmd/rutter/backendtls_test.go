package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// secureBackend is a server with a certificate that can be exchanged.
type secureBackend struct {
	*httptest.Server
	certificate atomic.Pointer[tls.Certificate]
	accepted    atomic.Int32
}

func (r *rig) secureBackend(cert, key []byte) *secureBackend {
	r.t.Helper()
	b := &secureBackend{Server: httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, q.TLS.ServerName)
	}))}
	b.use(r.t, cert, key)
	b.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return b.certificate.Load(), nil }}
	b.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			b.accepted.Add(1)
		}
	}
	b.StartTLS()
	r.t.Cleanup(b.Close)
	return b
}

func (b *secureBackend) use(t *testing.T, cert, key []byte) {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	must(t, err)
	b.certificate.Store(&pair)
}

func (b *secureBackend) port() int { return b.Listener.Addr().(*net.TCPAddr).Port }

func authorities(certificates ...[]byte) string {
	out := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca}\ndata:\n  ca.crt: |\n"
	for _, c := range certificates {
		out += "    " + strings.ReplaceAll(strings.TrimSpace(string(c)), "\n", "\n    ") + "\n"
	}
	return out
}

func policyManifest(service, hostname string) string {
	return fmt.Sprintf(`---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: %[1]s}
spec:
  targetRefs: [{group: "", kind: Service, name: %[1]s}]
  validation: {hostname: %[2]s, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
`, service, hostname)
}

// statusHas waits until a status file has all texts.
func (r *rig) statusHas(file string, texts ...string) {
	r.t.Helper()
	r.eventually(file+" says "+strings.Join(texts, ", "), func() error {
		content, err := os.ReadFile(filepath.Join(r.data, "status", file))
		for _, text := range texts {
			if err == nil && !strings.Contains(string(content), text) {
				err = errors.New(string(content))
			}
		}
		return err
	})
}

func TestABackendIsReachedOverTLSAndItsAuthoritiesRotate(t *testing.T) {
	r := newRig(t)
	oldCert, oldKey := gwtest.Certificate(t, "web.internal")
	newCert, newKey := gwtest.Certificate(t, "web.internal")
	backend := r.secureBackend(oldCert, oldKey)
	r.save("gateway", r.gateway())
	r.save("web", routeManifest("web", "/", backend.port())+policyManifest("web", "web.internal"))
	r.start()
	// There is no ConfigMap, so that nothing may be sent.
	r.serves("web.example.com", "/", 500)
	r.statusHas("backendtlspolicies/default/web.yaml", "reason: NoValidCACertificate", "reason: InvalidCACertificateRef", "name: gw", "controllerName: rutter.dev/gateway-controller")

	r.save("ca", authorities(oldCert))
	r.serves("web.example.com", "/", 200)
	r.statusHas("backendtlspolicies/default/web.yaml", "reason: Accepted", "reason: ResolvedRefs")
	if _, body, err := r.get("web.example.com", "/"); body != "web.internal" || err != nil {
		t.Errorf("the backend was asked for %q (%v)", body, err)
	}

	// acknowledged waits until Envoy has had so many changes of the authorities.
	acknowledged := func(times int) {
		r.eventually("the authorities changed", func() error {
			if strings.Count(r.lines.String(), "configmap/default/ca  →  default/gw: ") < times {
				return errors.New("not yet")
			}
			return nil
		})
	}
	connections := backend.accepted.Load()
	r.save("ca", authorities(oldCert, newCert))
	acknowledged(2)
	r.serves("web.example.com", "/", 200)
	if now := backend.accepted.Load(); now != connections {
		t.Errorf("new authorities cost %d connections", now-connections)
	}
	// Without the old ones not even a TLS session is resumed that began under them.
	r.save("ca", authorities(newCert))
	acknowledged(3)
	backend.CloseClientConnections()
	r.serves("web.example.com", "/", 503)
	backend.use(t, newCert, newKey)
	r.serves("web.example.com", "/", 200)

	r.remove("ca")
	r.serves("web.example.com", "/", 500)
	r.verified()
	r.stop()
	r.holdsNoPrivateKey(oldKey, newKey)
}

// A backend that is reached over TLS waits for its authorities beside its endpoints.
func TestNoRequestFailsWhileRoutesWithTLSToNewBackendsComeAndChange(t *testing.T) {
	r := newRig(t)
	cert, key := gwtest.Certificate(t, "*.internal")
	backend := r.secureBackend(cert, key)
	r.save("gateway", r.gateway())
	r.save("ca", authorities(cert))
	r.save("r0", routeManifest("r0", "/", r.backend("plain")))
	r.start()
	r.serves("r0.example.com", "/", 200)
	for i := 1; i <= 30; i++ {
		name := fmt.Sprintf("r%d", i)
		r.save(name, routeManifest(name, "/", backend.port())+policyManifest(name, name+".internal"))
		for body := ""; body != name+".internal"; {
			status, got, err := r.get(name+".example.com", "/")
			if err != nil || status != 200 && status != 404 {
				t.Fatalf("%s gets %d (%v) while it is added; want 404 before and 200 after", name, status, err)
			}
			body = got
		}
		// Another server name makes another cluster under the same name.
		r.save(name, routeManifest(name, "/", backend.port())+policyManifest(name, name+"-new.internal"))
		for body := ""; body != name+"-new.internal"; {
			status, got, err := r.get(name+".example.com", "/")
			if err != nil || status != 200 {
				t.Fatalf("%s gets %d (%v) while its policy changes", name, status, err)
			}
			body = got
		}
	}
	r.verified()
}

func TestTrustBundlesOfTheClusterHoldForClientsAndBackends(t *testing.T) {
	r := newRig(t)
	cert, key := gwtest.Certificate(t, "web.internal")
	front, frontKey := gwtest.Certificate(t, "web.example.com")
	client, clientKey := gwtest.Certificate(t, "anna.test")
	backend := r.secureBackend(cert, key)
	r.save("gateway", class+secret("front", front, frontKey)+"---\n"+fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  tls:
    frontend:
      default:
        validation: {caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: "test.io:clients:all"}]}
  listeners: [{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: front}]}}]
`, r.port))
	bundle := func(name, signer string, certificate []byte) string {
		return fmt.Sprintf("apiVersion: certificates.k8s.io/v1\nkind: ClusterTrustBundle\nmetadata: {name: %q}\nspec:\n  signerName: %q\n  trustBundle: |\n    ", name, signer) +
			strings.ReplaceAll(strings.TrimSpace(string(certificate)), "\n", "\n    ") + "\n---\n"
	}
	r.save("bundles", bundle("test.io:clients:all", "test.io/clients", client)+bundle("backends", "", cert)+bundle("unused", "", front))
	r.save("web", routeManifest("web", "/", backend.port())+
		strings.Replace(policyManifest("web", "web.internal"), `group: "", kind: ConfigMap, name: ca`, "group: certificates.k8s.io, kind: ClusterTrustBundle, name: backends", 1))
	r.start()
	pair, err := tls.X509KeyPair(client, clientKey)
	must(t, err)
	ask := func(certificates ...tls.Certificate) (int, error) {
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			ServerName: "web.example.com", InsecureSkipVerify: true, Certificates: certificates, //nolint:gosec // any certificate will do
		}}
		status, _, err := get(t.Context(), transport, fmt.Sprintf("https://127.0.0.1:%d/", r.port), "web.example.com")
		return status, err
	}
	if status, err := ask(pair); status != 200 {
		t.Errorf("with a certificate: %d, %v", status, err)
	}
	if status, err := ask(); err == nil {
		t.Errorf("without a certificate: %d", status)
	}
	if _, out := r.command("log", "clustertrustbundle/unused"); strings.Contains(out, "created") {
		t.Errorf("a bundle that nothing refers to is recorded:\n%s", out)
	}
	r.verified()
	r.stop()
	r.holdsNoPrivateKey(key, frontKey, clientKey)
}
