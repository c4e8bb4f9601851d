package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// pinRig is a rig with an HTTPS Gateway and the route of a shop.
type pinRig struct {
	*rig
	cert, key []byte
}

func newPinRig(t *testing.T) *pinRig {
	t.Helper()
	r := &pinRig{rig: newRig(t)}
	r.rotate()
	r.save("gateway", class+fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  listeners: [{name: web, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}]
`, r.port))
	return r
}

// rotate gives the Secret of the Gateway another certificate.
func (r *pinRig) rotate() {
	r.cert, r.key = gwtest.Certificate(r.t, "shop.example.com")
	r.save("secret", secret("cert", r.cert, r.key))
}

// answers waits until a request gets status, from the backend that is named, with the
// certificate of now.
func (r *pinRig) answers(host string, status int, backend string) {
	r.t.Helper()
	pair, err := tls.X509KeyPair(r.cert, r.key)
	must(r.t, err)
	r.eventually(fmt.Sprintf("%s gets %d from %q", host, status, backend), func() error {
		var peer *tls.ConnectionState
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			ServerName: host, InsecureSkipVerify: true, //nolint:gosec // the certificate itself is looked at
			VerifyConnection: func(s tls.ConnectionState) error { peer = &s; return nil },
		}}
		got, body, err := get(r.t.Context(), transport, fmt.Sprintf("https://127.0.0.1:%d/", r.port), host)
		switch {
		case err != nil:
			return err
		case got != status || backend != "" && !strings.Contains(body, fmt.Sprintf(`"backend":%q`, backend)):
			return fmt.Errorf("it gets %d: %s", got, body)
		case !peer.PeerCertificates[0].Equal(pair.Leaf):
			return errors.New("another certificate is presented")
		}
		return nil
	})
}

// told waits until the status of an object has text.
func (r *pinRig) told(object, text string) {
	r.t.Helper()
	r.eventually(object+" says "+text, func() error {
		status, err := os.ReadFile(filepath.Join(r.data, "status", object+".yaml"))
		if err == nil && !strings.Contains(string(status), text) {
			err = fmt.Errorf("it says %s", status)
		}
		return err
	})
}

// now is the version that is published.
func (r *pinRig) now() string {
	r.t.Helper()
	_, out := r.command("show", "gw")
	for line := range strings.Lines(out) {
		if version, ok := strings.CutPrefix(line, "Version "); ok {
			return strings.Fields(version)[0]
		}
	}
	r.t.Fatalf("no version in %s", out)
	return ""
}

func TestYesterdaysRoutesAreServedWithTodaysEndpointsAndCertificate(t *testing.T) {
	r := newPinRig(t)
	r.save("shop", routeManifest("shop", "/", r.backend("one")))
	r.start()
	r.answers("shop.example.com", 200, "one")
	yesterday := r.now()

	r.rotate()
	r.save("shop", strings.Replace(routeManifest("shop", "/", r.backend("two")), "{name: shop, port: 80}", "{name: typo, port: 80}", 1))
	r.save("newer", routeManifest("newer", "/", r.backend("newer")))
	r.answers("shop.example.com", 500, "")
	r.answers("newer.example.com", 200, "newer")

	pin := filepath.Join(r.dir, "pin.yaml")
	if code, out := r.command("pin", "gw", "--at", yesterday, "--reason", "a typo", "--manifest", pin); code != exitFine || !strings.Contains(out, "+ to default/shop/80") {
		t.Fatalf("pin exits with %d:\n%s", code, out)
	}
	r.answers("shop.example.com", 200, "two")
	r.answers("newer.example.com", 404, "")
	r.told("routingpins/default/gw", "in force")
	r.told("gateways/default/gw", "a typo")
	r.told("httproutes/default/newer", "reason: Pinned")

	r.kill()
	r.start()
	r.answers("shop.example.com", 200, "two")
	r.answers("newer.example.com", 404, "")
	r.rotate()
	r.save("shop", routeManifest("shop", "/other", r.backend("three")))
	r.answers("shop.example.com", 200, "three")

	// Without its Secret the pin cannot be served, and what the objects say is.
	r.save("secret", secret("another", r.cert, r.key))
	r.told("routingpins/default/gw", "InvalidCertificateRef")
	r.save("secret", secret("cert", r.cert, r.key))
	r.told("routingpins/default/gw", "in force")
	r.answers("shop.example.com", 200, "three")

	// What a bundle says would change is what does.
	file := r.path("pinned.rutter")
	if code, out := r.command("export", "-f", file); code != exitFine {
		t.Fatal(out)
	}
	_, want := r.command("unpin", "gw", "--dry-run")
	if code, got := r.rutter("unpin", "gw", "--dry-run", "--bundle", file); code != exitFine || got != want || !strings.Contains(got, "newer.example.com") {
		t.Errorf("of a bundle unpin exits with %d:\n%s\nand of the log it says\n%s", code, got, want)
	}
	if code, out := r.command("unpin", "gw", "--yes", "--manifest", pin); code != exitFine || !strings.Contains(out, "newer.example.com") {
		t.Fatalf("unpin exits with %d:\n%s", code, out)
	}
	r.answers("newer.example.com", 200, "newer")
	r.answers("shop.example.com", 404, "")
	r.told("httproutes/default/newer", "reason: Programmed")
	r.verified()
	r.stop()
	r.holdsNoPrivateKey(r.key)
}
