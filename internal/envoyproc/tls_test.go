package envoyproc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/internal/pki"
)

// mounted is a directory in which files are replaced as in the volume of a Secret:
// all at once, by one move of a link.
type mounted struct {
	t   *testing.T
	dir string
}

func (m mounted) set(generation string, files map[string][]byte) {
	m.t.Helper()
	data := filepath.Join(m.dir, ".."+generation)
	check := func(err error) {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
	}
	check(os.Mkdir(data, 0o700))
	for name, content := range files {
		check(os.WriteFile(filepath.Join(data, name), content, 0o600))
		if _, err := os.Lstat(filepath.Join(m.dir, name)); err != nil {
			check(os.Symlink(filepath.Join("..data", name), filepath.Join(m.dir, name)))
		}
	}
	check(os.Symlink(filepath.Base(data), filepath.Join(m.dir, "..new")))
	check(os.Rename(filepath.Join(m.dir, "..new"), filepath.Join(m.dir, "..data")))
}

func TestEnvoyShowsItsCertificateAndTakesTheRenewedOne(t *testing.T) {
	ca, err := pki.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	authority, err := pki.Parse(ca)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(r pki.Request) pki.Pair {
		t.Helper()
		r.Life = time.Hour
		p, err := authority.Issue(r, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	server := issue(pki.Request{Server: true, Hosts: []string{"localhost"}})
	seen := acceptTLS(t, server, authority.PEM)

	cfg := config(t, gwtest.Envoy(t))
	_, port, _ := net.SplitHostPort(seen.address)
	cfg.Output = t.Output()
	cfg.XDS, cfg.TLS = net.JoinHostPort("localhost", port), &TLS{Dir: t.TempDir(), SecretsDir: t.TempDir()}
	files, err := SecretFiles(cfg.TLS, cfg.XDS)
	if err != nil {
		t.Fatal(err)
	}
	mounted{t, cfg.TLS.SecretsDir}.set("0", files)
	client := pki.Request{URI: pki.GatewayURI("default/gw")}
	for _, generation := range []string{"1", "2"} {
		p := issue(client)
		mounted{t, cfg.TLS.Dir}.set(generation, map[string][]byte{"tls.crt": p.Certificate, "tls.key": p.Key, "ca.crt": authority.PEM})
		want, err := tls.X509KeyPair(p.Certificate, p.Key)
		if err != nil {
			t.Fatal(err)
		}
		if generation == "1" {
			go func() { seen.done <- Run(t.Context(), cfg) }()
			t.Cleanup(func() {
				if err := <-seen.done; err != nil {
					t.Error(err)
				}
			})
		}
		gwtest.Eventually(t, "the certificate of generation "+generation, func() error {
			select {
			case c := <-seen.certificates:
				if c.Equal(want.Leaf) {
					return nil
				}
			default:
			}
			return errors.New("it is not seen")
		})
	}
}

// acceptor takes connections, and ends each once the client has shown its certificate.
type acceptor struct {
	address      string
	certificates chan *x509.Certificate
	done         chan error
}

func acceptTLS(t *testing.T, server pki.Pair, ca []byte) *acceptor {
	t.Helper()
	pair, err := tls.X509KeyPair(server.Certificate, server.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &acceptor{address: listener.Addr().String(), certificates: make(chan *x509.Certificate), done: make(chan error, 1)}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			c, _ := conn.(*tls.Conn)
			if err := c.HandshakeContext(t.Context()); err == nil {
				select {
				case a.certificates <- c.ConnectionState().PeerCertificates[0]:
				case <-t.Context().Done():
				}
			}
			_ = conn.Close() // so that Envoy comes again
		}
	}()
	return a
}
