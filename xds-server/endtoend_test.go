package xdsserver

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
)

func TestEnvoyServesWhatIsPublished(t *testing.T) {
	s := newSystem(t)
	server := s.serve("127.0.0.1:0", s.open)
	envoy := startEnvoy(t, server.address)
	http := sample.Listener("http", 0, "")
	one, two, three := site("one", "a"), site("two", "b"), site("three", "c")

	s.slices(backend(t, "a"), backend(t, "b"))
	first := s.publish(slices.Concat([]routing.Resource{http}, one)...)
	address := envoy.address("http")
	awaitAnswer(t, address, "one", "a")
	s.awaitReceipt("the first version is held", holds(first))

	second := s.publish(slices.Concat([]routing.Resource{http}, one, two)...)
	awaitAnswer(t, address, "two", "b")
	s.awaitReceipt("the second version is held", holds(second))

	// Endpoints come by themselves.
	s.publish(slices.Concat([]routing.Resource{http}, one, two, three)...)
	s.slices(backend(t, "c"))
	awaitAnswer(t, address, "three", "c")

	// A route that Envoy refuses is found among the others, which move on.
	bad := sample.Scope("bad", "", "c-a")
	four := site("four", "d")
	s.slices(backend(t, "d"))
	last := s.publish(slices.Concat([]routing.Resource{http, bad}, one, two, four)...)
	awaitAnswer(t, address, "four", "d")
	receipt := s.awaitReceipt("the bad route is reported", func(r *routing.Receipt) bool {
		return holds(last)(r) && len(r.Envoys[0].Refused) == 1
	})
	refusal := receipt.Envoys[0].Refused[0]
	if refusal.Name != "l0/bad" || refusal.Digest != bad.Digest || !strings.HasPrefix(refusal.Reason, "Proto constraint validation failed") {
		t.Errorf("refused: %+v", refusal)
	}

	healed := s.publish(slices.Concat([]routing.Resource{http, sample.Scope("bad", "/", "c-a")}, one, two, four)...)
	awaitAnswer(t, address, "bad", "a")
	s.awaitReceipt("the refusal is gone", func(r *routing.Receipt) bool { return holds(healed)(r) && len(r.Envoys[0].Refused) == 0 })

	// Nothing is left of what is no longer published.
	s.publish(slices.Concat([]routing.Resource{http}, one)...)
	gwtest.Eventually(t, "clusters are removed", func() error {
		if got := envoy.counter("cluster_manager.active_clusters"); got != "cluster_manager.active_clusters: 2" { // and that of xDS
			return fmt.Errorf("%s", got)
		}
		return nil
	})
}

func TestEnvoyServesThePlainLayout(t *testing.T) {
	s := newSystem(t)
	server := s.serve("127.0.0.1:0", s.open)
	envoy := startEnvoy(t, server.address)
	s.slices(backend(t, "a"), backend(t, "b"))
	world := func(service string) []routing.Resource {
		return []routing.Resource{
			sample.Listener("http", 0, "routes"), sample.Routes("routes", "/", "c-"+service),
			sample.Cluster("c-"+service, "ns/"+service+"/-", time.Second),
		}
	}
	first := s.publish(world("a")...)
	address := envoy.address("http")
	awaitAnswer(t, address, "any", "a")
	s.awaitReceipt("the version is held", holds(first))
	// The route moves to a new cluster, and the old one goes: no request fails.
	second := s.publish(world("b")...)
	gwtest.Eventually(t, "the other backend", func() error {
		got, err := answer(t, "http", address, "any", nil)
		if err != nil {
			t.Errorf("a request failed: %v", err)
		}
		if got != "b" {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
	s.awaitReceipt("the second version is held", holds(second))
}

func TestEnvoyGetsCertificatesBySDS(t *testing.T) {
	s := newSystem(t)
	server := s.serve("127.0.0.1:0", s.open)
	envoy := startEnvoy(t, server.address)
	s.slices(backend(t, "a"))
	trust, secret := s.certificate("cert")
	https := sample.Listener("https", 0, "", "cert")
	version := s.publish(slices.Concat([]routing.Resource{https, secret}, site("one", "a"))...)
	address := envoy.address("https")
	gwtest.Eventually(t, "host one by TLS", func() error { _, err := answer(t, "https", address, "one", trust); return err })
	s.awaitReceipt("the version is held", holds(version))

	renewedTrust, renewed := s.certificate("cert")
	version = s.publish(slices.Concat([]routing.Resource{https, renewed}, site("one", "a"))...)
	gwtest.Eventually(t, "the renewed certificate", func() error { _, err := answer(t, "https", address, "one", renewedTrust); return err })
	s.awaitReceipt("the renewed version is held", holds(version))
}

// certificate is a new one for host one, as a client trusts it and as it is published.
func (s *system) certificate(name string) (*tls.Config, routing.Resource) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "one"}, DNSNames: []string{"one"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, s.identity.Recipient())
	if err != nil {
		s.t.Fatal(err)
	}
	if err := pem.Encode(w, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}); err != nil {
		s.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(chain)
	return &tls.Config{RootCAs: roots, ServerName: "one"}, sample.Secret(name, chain, sealed.Bytes())
}

func TestAnEnvoyThatReconnectsAfterARestartIsSentNothingAgain(t *testing.T) {
	s := newSystem(t)
	server := s.serve("127.0.0.1:0", s.open)
	envoy := startEnvoy(t, server.address)
	s.slices(backend(t, "a"), backend(t, "b"))
	http := sample.Listener("http", 0, "")
	version := s.publish(slices.Concat([]routing.Resource{http}, site("one", "a"))...)
	address := envoy.address("http")
	awaitAnswer(t, address, "one", "a")
	s.awaitReceipt("the version is held", holds(version))
	counters := []string{"cluster_manager.cluster_added", "cluster_manager.cluster_modified", "listener_manager.listener_added",
		"listener_manager.listener_modified", "cluster.c-a.membership_change"}
	before := map[string]string{}
	for _, name := range counters {
		before[name] = envoy.counter(name)
	}

	// The server restarts while the log is gone: it has the local copy.
	server.stop()
	s.awaitReceipt("the server has said that nobody is connected", func(r *routing.Receipt) bool { return len(r.Envoys) == 0 })
	server = s.serve(server.address, unreachable)
	gwtest.Eventually(t, "Envoy is connected again", func() error {
		if got := envoy.counter("control_plane.connected_state"); got != "control_plane.connected_state: 1" {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	if server.Ready() != nil || server.Version() != version {
		t.Errorf("ready %v with version %v, want %v", server.Ready(), server.Version(), version)
	}

	// And once more, with the log: it goes on from where it was.
	server.stop()
	s.serve(server.address, s.open)
	s.awaitReceipt("the version is held again", holds(version))
	for _, name := range counters {
		if now := envoy.counter(name); now != before[name] {
			t.Errorf("%s, before the restarts %s", now, before[name])
		}
	}
	awaitAnswer(t, address, "one", "a")
	next := s.publish(slices.Concat([]routing.Resource{http}, site("one", "a"), site("two", "b"))...)
	awaitAnswer(t, address, "two", "b")
	s.awaitReceipt("the next version is held", holds(next))
}
