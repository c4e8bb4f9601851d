package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

func TestManifestsAreServedAsTheyAreSaved(t *testing.T) {
	r := newRig(t)
	web, api := r.backend("web"), r.backend("api")
	r.save("gateway", r.gateway())
	r.save("web", routeManifest("web", "/", web))
	r.start()
	r.serves("web.example.com", "/", 200)
	r.serves("nobody.example.com", "/", 404)

	r.save("api", routeManifest("api", "/v1", api))
	r.serves("api.example.com", "/v1/x", 200)
	r.save("api", routeManifest("api", "/v2", api))
	r.serves("api.example.com", "/v1/x", 404)
	r.serves("api.example.com", "/v2", 200)
	r.remove("api")
	r.serves("api.example.com", "/v2", 404)
	r.serves("web.example.com", "/", 200)
	r.says("httproute/default/api deleted")
	r.verified()
	r.stop()
	r.verified()
}

func TestTheTutorialAnswersAsItSays(t *testing.T) {
	r := newRig(t)
	files, err := filepath.Glob("../../examples/tutorial/*.yaml")
	must(t, err)
	replace := strings.NewReplacer(
		"port: 8080", fmt.Sprintf("port: %d", r.port), "port: 9081", fmt.Sprintf("port: %d", r.backend("nginx-1")), "port: 9082", fmt.Sprintf("port: %d", r.backend("nginx-2")))
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		r.save(strings.TrimSuffix(filepath.Base(file), ".yaml"), replace.Replace(string(text)))
	}
	r.start()
	r.serves("www.example.com", "/", 200)
	r.serves("www.example.org", "/", 404)
	r.verified()
}

func secret(name string, cert, key []byte) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\ntype: kubernetes.io/tls\ndata: {tls.crt: %s, tls.key: %s}\n",
		name, base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(key))
}

func TestHTTPSServesTheCertificateOfTheNameAndRotatesIt(t *testing.T) {
	r := newRig(t)
	oneCert, oneKey := gwtest.Certificate(t, "one.example.com")
	restCert, restKey := gwtest.Certificate(t, "*.example.com")
	r.save("secrets", secret("one", oneCert, oneKey)+"---\n"+secret("rest", restCert, restKey)+"---\n"+secret("unused", oneCert, oneKey))
	r.save("gateway", class+fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  listeners:
  - {name: one, port: %[1]d, protocol: HTTPS, hostname: one.example.com, tls: {certificateRefs: [{name: one}]}}
  - {name: rest, port: %[1]d, protocol: HTTPS, hostname: "*.example.com", tls: {certificateRefs: [{name: rest}]}}
`, r.port))
	r.save("route", strings.Replace(routeManifest("web", "/", r.backend("web")), "hostnames: [web.example.com]", "hostnames: [one.example.com, two.example.com]", 1))
	r.start()

	ask := func(sni, host string) (int, *tls.ConnectionState, error) {
		var state *tls.ConnectionState
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			ServerName: sni, InsecureSkipVerify: true, //nolint:gosec // the certificate itself is looked at
			VerifyConnection: func(s tls.ConnectionState) error { state = &s; return nil },
		}}
		status, _, err := get(t.Context(), transport, fmt.Sprintf("https://127.0.0.1:%d/", r.port), host)
		return status, state, err
	}
	expect := func(sni, host string, status int, cert []byte) {
		t.Helper()
		pair, err := tls.X509KeyPair(cert, map[string][]byte{string(oneCert): oneKey, string(restCert): restKey}[string(cert)])
		must(t, err)
		r.eventually(fmt.Sprintf("SNI %s, host %s", sni, host), func() error {
			got, state, err := ask(sni, host)
			switch {
			case err != nil:
				return err
			case got != status:
				return fmt.Errorf("status %d, want %d", got, status)
			case !state.PeerCertificates[0].Equal(pair.Leaf):
				return errors.New("another certificate is presented")
			}
			return nil
		})
	}
	expect("one.example.com", "one.example.com", 200, oneCert)
	expect("two.example.com", "two.example.com", 200, restCert)
	expect("one.example.com", "two.example.com", 421, oneCert)
	expect("two.example.com", "one.example.com", 421, restCert)

	restCert, restKey = gwtest.Certificate(t, "*.example.com")
	r.save("secrets", secret("one", oneCert, oneKey)+"---\n"+secret("rest", restCert, restKey)+"---\n"+secret("unused", oneCert, oneKey))
	expect("two.example.com", "two.example.com", 200, restCert)

	// A key that does not belong to the certificate: its listener goes, the other stays.
	r.save("secrets", secret("one", oneCert, restKey)+"---\n"+secret("rest", restCert, restKey)+"---\n"+secret("unused", oneCert, oneKey))
	r.eventually("the listener with the bad certificate is reported", func() error {
		text, err := os.ReadFile(filepath.Join(r.data, "status/gateways/default/gw.yaml"))
		if err == nil && !strings.Contains(string(text), "InvalidCertificateRef") {
			err = errors.New("no InvalidCertificateRef")
		}
		return err
	})
	expect("two.example.com", "two.example.com", 200, restCert)
	r.verified()
	r.stop()
	r.holdsNoPrivateKey(oneKey, restKey)
	if _, out := r.command("log", "secrets/default/unused"); strings.Contains(out, "created") {
		t.Errorf("a Secret that nothing refers to is recorded:\n%s", out)
	}
}

// holdsNoPrivateKey searches everything durable for keys in clear.
func (r *rig) holdsNoPrivateKey(keys ...[]byte) {
	r.t.Helper()
	must(r.t, filepath.Walk(r.data, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		open := laidOpen(r.t, content)
		for _, key := range keys {
			if holdsKey(r.t, open, key) {
				r.t.Errorf("%s holds a private key in clear", path)
			}
		}
		return nil
	}))
}

func TestARefusedManifestLeavesTheLastGoodVersionInForce(t *testing.T) {
	r := newRig(t)
	r.save("gateway", r.gateway())
	r.save("web", routeManifest("web", "/", r.backend("web")))
	r.start()
	r.save("web", strings.Replace(routeManifest("web", "/", 1), "value: /", "value: no-slash", 1))
	r.says(`web.yaml:1 (document 1) is refused, the last good version stays in force: HTTPRoute.gateway.networking.k8s.io "web" is invalid:`)
	r.says("value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']")
	r.save("more", routeManifest("more", "/", r.backend("more")))
	r.serves("more.example.com", "/", 200)
	r.save("other", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n")
	r.says("other.yaml:1 (document 1) is ignored: ")
	r.save("broken", "kind: [")
	r.says("broken.yaml")
	code, out := r.command("show", "gw")
	if code != exitFine || !strings.Contains(out, "web.example.com") {
		t.Errorf("show exits with %d and does not know the last good route:\n%s", code, out)
	}
	r.stop()
	// The bad file is still there on the next start; the recorded version is too.
	r.start()
	r.serves("more.example.com", "/", 200)
	if code, out := r.command("show", "gw"); code != exitFine || !strings.Contains(out, "web.example.com") {
		t.Errorf("after a restart show exits with %d and does not know the last good route:\n%s", code, out)
	}
	r.verified()
}

func TestKilledAtAnyMomentItGoesOnWithTheSameVersions(t *testing.T) {
	r := newRig(t)
	backend := r.backend("web")
	r.save("gateway", r.gateway())
	r.save("r0", routeManifest("r0", "/", backend))
	r.start()
	for i := 1; i <= 6; i++ {
		name := fmt.Sprintf("r%d", i)
		r.save(name, routeManifest(name, "/", backend))
		if i%2 == 0 {
			// Let it come some way: recorded, published, or served.
			r.eventually("the route is somewhere on its way", func() error {
				_, err := os.Stat(filepath.Join(r.data, "status/httproutes/default", name+".yaml"))
				return err
			})
		}
		r.kill()
		before := r.published()
		r.start()
		r.serves(name+".example.com", "/", 200)
		r.isAsPublished(before)
	}
	r.stop()
	r.start()
	last := r.published()
	r.stop()
	r.start()
	r.isAsPublished(last)
	if now := r.published(); now != last {
		t.Errorf("a restart without changes published something:\nbefore:\n%s\nafter:\n%s", last, now)
	}
	if _, out := r.command("log"); strings.Count(out, "httproute/default/r") != 7 {
		t.Errorf("7 routes were saved once each, and this is recorded:\n%s", out)
	}
	r.verified()
}

// published is the list of versions with their digests.
func (r *rig) published() string {
	r.t.Helper()
	log, err := openLog(r.t.Context(), source{dataDir: r.data})
	must(r.t, err)
	defer log.Close()
	return publishedVersions(r.t, log)
}

// isAsPublished holds that everything published before is still there, unchanged.
func (r *rig) isAsPublished(before string) {
	r.t.Helper()
	if now := r.published(); !strings.HasPrefix(now, before) {
		r.t.Errorf("versions changed:\nbefore:\n%s\nnow:\n%s", before, now)
	}
}

func TestATakenPortIsSaidInOneLine(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
	must(t, err)
	defer l.Close()
	r.save("gateway", r.gateway())
	r.save("web", routeManifest("web", "/", r.backend("web")))
	r.launch()
	r.says("Address already in use")
	r.verified()
	if _, err := os.Stat(r.ready()); err == nil {
		t.Error("the ready file says that the first version was acknowledged")
	}
}

func TestAnEnvoyThatDiesIsStartedAgain(t *testing.T) {
	r := newRig(t)
	r.save("gateway", r.gateway())
	r.save("web", routeManifest("web", "/", r.backend("web")))
	r.start()
	r.serves("web.example.com", "/", 200)
	envoys := r.envoys()
	if len(envoys) != 1 {
		t.Fatalf("rutter has the children %v, want one Envoy", envoys)
	}
	must(t, syscall.Kill(envoys[0], syscall.SIGKILL))
	r.says("The Envoy of Gateway default/gw died (signal: killed) and is started again in")
	r.serves("web.example.com", "/", 200)
	r.verified()
}

func TestAnEnvoyThatCannotStartIsSaidInOneLine(t *testing.T) {
	r := newRig(t)
	r.save("gateway", r.gateway())
	r.launch("--envoy", filepath.Join(r.dir, "no-envoy"))
	r.says("rutter: ")
	r.lines.ended.Wait()
	if err := r.process.Wait(); err == nil {
		t.Error("rutter ended well without an Envoy")
	}
	if out := strings.TrimSpace(r.lines.String()); strings.Count(out, "\n") != 0 || !strings.Contains(out, "no-envoy") {
		t.Errorf("want one line that names the path, got:\n%s", out)
	}
	r.process = nil
}

func TestADamagedDataDirectoryIsRefusedAndNamed(t *testing.T) {
	r := newRig(t)
	r.save("gateway", r.gateway())
	r.save("web", routeManifest("web", "/", r.backend("web")))
	r.start()
	r.stop()
	blocks, err := filepath.Glob(filepath.Join(r.data, "jetstream/*/streams/EVENTS/msgs/*.blk"))
	must(t, err)
	if len(blocks) == 0 {
		t.Fatal("EVENTS has no block files")
	}
	content, err := os.ReadFile(blocks[0])
	must(t, err)
	content[len(content)/2] ^= 0x40
	must(t, os.WriteFile(blocks[0], content, 0o600))
	r.launch()
	r.says(filepath.Base(blocks[0]))
	r.lines.ended.Wait()
	if err := r.process.Wait(); err == nil || r.process.ProcessState.ExitCode() != exitFailed {
		t.Errorf("rutter ended with %v, want exit code %d; it said:\n%s", err, exitFailed, r.lines)
	}
	// The way out that it names: away with the store, and anew from the manifests.
	must(t, os.Rename(filepath.Join(r.data, "jetstream"), r.data+".damaged"))
	r.start()
	r.serves("web.example.com", "/", 200)
	r.verified()
}

func TestNoRequestFailsWhileRoutesWithNewBackendsComeAndChange(t *testing.T) {
	r := newRig(t)
	backend := r.backend("web")
	r.save("gateway", r.gateway())
	r.save("r0", routeManifest("r0", "/", backend))
	r.start()
	for i := 1; i <= 40; i++ {
		name := fmt.Sprintf("r%d", i)
		r.save(name, routeManifest(name, "/", backend))
		for status := 0; status != 200; {
			var err error
			if status, _, err = r.get(name+".example.com", "/"); err != nil || status != 200 && status != 404 {
				t.Fatalf("%s gets %d (%v) while it is added; want 404 before and 200 after", name, status, err)
			}
		}
		r.save(name, routeManifest(name, "/v2", backend))
		for status := 0; status != 200; {
			var err error
			if status, _, err = r.get(name+".example.com", "/v2"); err != nil || status != 200 && status != 404 {
				// The old rule answers "/v2" too, by its prefix "/".
				t.Fatalf("%s gets %d (%v) while it changes", name, status, err)
			}
		}
	}
	r.verified()
}

// weakCertificate is one that Envoy refuses: its RSA key is too short. Nothing
// before Envoy minds.
func weakCertificate(t *testing.T, host string) (cert, key []byte) {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	private, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // that is the point
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
}

func TestWhatEnvoyRefusesFallsBackToWhatItHad(t *testing.T) {
	r := newRig(t)
	good, goodKey := gwtest.Certificate(t, "one.example.com")
	r.save("secret", secret("one", good, goodKey))
	r.save("gateway", class+fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  listeners:
  - {name: one, port: %d, protocol: HTTPS, hostname: one.example.com, tls: {certificateRefs: [{name: one}]}}
`, r.port))
	r.save("route", strings.Replace(routeManifest("web", "/", r.backend("web")), "hostnames: [web.example.com]", "hostnames: [one.example.com]", 1))
	r.start()
	weak, weakKey := weakCertificate(t, "one.example.com")
	r.save("secret", secret("one", weak, weakKey))
	r.says("The Envoy of Gateway default/gw refused a part of secret/default/one; the rest is served:")
	r.eventually("the verdict is published", func() error {
		_, out := r.command("show", "gw", "-o", "json")
		if !strings.Contains(out, "rutter.dev/Refused") {
			return errors.New("there is no condition rutter.dev/Refused")
		}
		return nil
	})
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{ServerName: "one.example.com", InsecureSkipVerify: true}} //nolint:gosec // any certificate will do
	status, _, err := get(t.Context(), transport, fmt.Sprintf("https://127.0.0.1:%d/", r.port), "one.example.com")
	if err != nil || status != 200 {
		t.Errorf("after the refusal a request gets %d (%v), want 200 by what Envoy had", status, err)
	}
	r.verified()
	r.stop()
	// An Envoy that starts anew gets what the old one had, and not what was refused.
	r.start()
	status, _, err = get(t.Context(), transport, fmt.Sprintf("https://127.0.0.1:%d/", r.port), "one.example.com")
	if err != nil || status != 200 {
		t.Errorf("after a restart a request gets %d (%v), want 200", status, err)
	}
	r.holdsNoPrivateKey(goodKey, weakKey)
	r.verified()
}
