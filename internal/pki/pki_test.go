package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/pki"
)

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func authority(t *testing.T, now time.Time) *pki.Authority {
	t.Helper()
	return must[*pki.Authority](t)(pki.Parse(must[pki.Pair](t)(pki.NewAuthority(now))))
}

const month = 30 * 24 * time.Hour

func TestServerAndEnvoyKnowEachOther(t *testing.T) {
	a := authority(t, time.Now())
	server := must[pki.Pair](t)(a.Issue(pki.Request{Server: true, Hosts: []string{"xds.rutter.svc", "127.0.0.1"}, Life: month}, time.Now()))
	client := must[pki.Pair](t)(a.Issue(pki.Request{URI: pki.GatewayURI("shop/gw"), Life: month}, time.Now()))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.PEM)
	for _, name := range []string{"xds.rutter.svc", "127.0.0.1"} {
		near, far := net.Pipe()
		there := tls.Server(far, &tls.Config{
			Certificates: []tls.Certificate{must[tls.Certificate](t)(tls.X509KeyPair(server.Certificate, server.Key))},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: roots, MinVersion: tls.VersionTLS13,
		})
		here := tls.Client(near, &tls.Config{
			Certificates: []tls.Certificate{must[tls.Certificate](t)(tls.X509KeyPair(client.Certificate, client.Key))},
			RootCAs:      roots, ServerName: name, MinVersion: tls.VersionTLS13,
		})
		done := make(chan error, 1)
		go func() { done <- there.HandshakeContext(t.Context()) }()
		if err := here.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		uris := there.ConnectionState().PeerCertificates[0].URIs
		if gateway, ok := pki.GatewayOf(uris[0]); !ok || gateway != "shop/gw" {
			t.Errorf("%v names %q", uris, gateway)
		}
		_, _ = near.Close(), far.Close() // both ends are done
	}
}

func TestAPairIsKeptUntilTwoThirdsOfItsLifeOrUntilItIsAnother(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	a := authority(t, now)
	server := pki.Request{Server: true, Hosts: []string{"xds", "10.0.0.1"}, Life: month}
	client := pki.Request{URI: pki.GatewayURI("shop/gw"), Life: month}
	served, shown := must[pki.Pair](t)(a.Issue(server, now)), must[pki.Pair](t)(a.Issue(client, now))
	renamed, other := server, client
	renamed.Hosts = []string{"xds2", "10.0.0.1"}
	other.URI = pki.GatewayURI("shop/other")
	for name, c := range map[string]struct {
		by   *pki.Authority
		pair pki.Pair
		want pki.Request
		at   time.Duration
		keep bool
	}{
		"new":                  {a, served, server, 0, true},
		"before two thirds":    {a, served, server, 19 * 24 * time.Hour, true},
		"after two thirds":     {a, served, server, 21 * 24 * time.Hour, false},
		"over":                 {a, served, server, 31 * 24 * time.Hour, false},
		"of a client":          {a, shown, client, 0, true},
		"other hosts":          {a, served, renamed, 0, false},
		"another Gateway":      {a, shown, other, 0, false},
		"for another use":      {a, shown, server, 0, false},
		"by another CA":        {authority(t, now), served, server, 0, false},
		"another's key":        {a, pki.Pair{Certificate: served.Certificate, Key: shown.Key}, server, 0, false},
		"nothing":              {a, pki.Pair{}, server, 0, false},
		"without a key":        {a, pki.Pair{Certificate: served.Certificate}, server, 0, false},
		"with rubbish for key": {a, pki.Pair{Certificate: served.Certificate, Key: []byte("x")}, server, 0, false},
	} {
		until, keep := c.by.Keep(c.pair, c.want, now.Add(c.at))
		if keep != c.keep || keep && !until.After(now.Add(c.at)) {
			t.Errorf("%s: keep %v until %s, want %v", name, keep, until, c.keep)
		}
	}
}

func TestWhatIsNoAuthorityIsRefused(t *testing.T) {
	now := time.Now()
	first, second := must[pki.Pair](t)(pki.NewAuthority(now)), must[pki.Pair](t)(pki.NewAuthority(now))
	leaf := must[pki.Pair](t)(authority(t, now).Issue(pki.Request{Server: true, Life: month}, now))
	for name, p := range map[string]pki.Pair{
		"nothing": {}, "a leaf": leaf, "another's key": {Certificate: first.Certificate, Key: second.Key},
	} {
		if _, err := pki.Parse(p); !errors.Is(err, pki.ErrUnusable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyTheNameOfAGatewayNamesOne(t *testing.T) {
	for text, want := range map[string]string{
		"spiffe://rutter.dev/gateway/shop/gw":       "shop/gw",
		"spiffe://rutter.dev/gateway/shop/gw/extra": "",
		"spiffe://rutter.dev/gateway/gw":            "",
		"spiffe://example.com/gateway/shop/gw":      "",
		"https://rutter.dev/gateway/shop/gw":        "",
		"spiffe://rutter.dev/server/shop/gw":        "",
	} {
		uri := must[*url.URL](t)(url.Parse(text))
		if got, ok := pki.GatewayOf(uri); ok != (want != "") || ok && got != want {
			t.Errorf("%s names %q, %v", text, got, ok)
		}
	}
}

func TestASecretOfTheCAIsItsOwn(t *testing.T) {
	one, other := authority(t, time.Now()), authority(t, time.Now())
	first := must[string](t)(one.Derive("a"))
	if len(first) < 32 || must[string](t)(one.Derive("a")) != first || must[string](t)(one.Derive("b")) == first || must[string](t)(other.Derive("a")) == first {
		t.Error("it is short, not the same each time, or not another one for another purpose or of another CA")
	}
}
