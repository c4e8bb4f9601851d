package xdsserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/rutter-gateway/rutter/internal/tlsdir"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// authority signs the certificates of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	return a
}

func (a *authority) sign(template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// client is what an Envoy of a Gateway presents; nothing for "".
func (a *authority) client(trust *authority, gateway string) credentials.TransportCredentials {
	a.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(trust.cert)
	config := &tls.Config{RootCAs: pool, ServerName: "xds.example"}
	if gateway != "" {
		uri := &url.URL{Scheme: "spiffe", Host: "rutter.dev", Path: "/gateway/" + gateway}
		cert, key := a.sign(&x509.Certificate{URIs: []*url.URL{uri}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, a)
		config.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
	}
	return credentials.NewTLS(config)
}

// install writes a server's directory: a certificate of this authority, which
// also signs the clients'.
func (a *authority) install(dir string) {
	a.t.Helper()
	cert, key := a.sign(&x509.Certificate{DNSNames: []string{"xds.example"}}, a)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		tlsdir.AuthorityFile:   {Type: "CERTIFICATE", Bytes: a.cert.Raw},
		tlsdir.KeyFile:         {Type: "PRIVATE KEY", Bytes: der},
		tlsdir.CertificateFile: {Type: "CERTIFICATE", Bytes: cert.Raw},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// asks opens a stream as an Envoy of a Gateway and returns what comes of it: nil for
// an answer.
func asks(t *testing.T, address string, credentials credentials.TransportCredentials, gateway string) error {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: "envoy", Cluster: gateway}, TypeUrl: store.ClusterType})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func (s *system) serveTLS(dir string) *running {
	s.t.Helper()
	config, err := TLS(dir, slog.New(slog.NewTextHandler(s.t.Output(), nil)))
	if err != nil {
		s.t.Fatal(err)
	}
	return s.serveWith("127.0.0.1:0", s.open, func(c *Config) { c.TLS = config })
}

func TestAnEnvoyIsServedOnlyItsOwnGateway(t *testing.T) {
	s := newSystem(t)
	s.slices()
	s.publish(site("one", "a")...)
	ours, strangers, dir := newAuthority(t), newAuthority(t), t.TempDir()
	ours.install(dir)
	server := s.serveTLS(dir)

	if err := asks(t, server.address, ours.client(ours, testGateway), testGateway); err != nil {
		t.Errorf("its own Gateway: %v", err)
	}
	err := asks(t, server.address, ours.client(ours, "ns/other"), testGateway)
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "it names [spiffe://rutter.dev/gateway/ns/other") {
		t.Errorf("another Gateway: %v", err)
	}
	for name, client := range map[string]credentials.TransportCredentials{
		"no certificate": ours.client(ours, ""), "another authority": strangers.client(ours, testGateway),
	} {
		if err := asks(t, server.address, client, testGateway); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCertificatesAreReadAgainWhenTheyChange(t *testing.T) {
	s := newSystem(t)
	s.slices()
	s.publish(site("one", "a")...)
	before, after, dir := newAuthority(t), newAuthority(t), t.TempDir()
	before.install(dir)
	server := s.serveTLS(dir)
	if err := asks(t, server.address, before.client(before, testGateway), testGateway); err != nil {
		t.Fatal(err)
	}
	// Half of a change does no harm.
	if err := os.WriteFile(filepath.Join(dir, tlsdir.KeyFile), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := asks(t, server.address, before.client(before, testGateway), testGateway); err != nil {
		t.Errorf("while the files are changed: %v", err)
	}
	after.install(dir)
	if err := asks(t, server.address, after.client(after, testGateway), testGateway); err != nil {
		t.Errorf("after the change: %v", err)
	}
	if err := asks(t, server.address, before.client(after, testGateway), testGateway); err == nil {
		t.Error("a certificate of the authority of before is still taken")
	}
}

func TestWithoutTLSOnlyThisMachineIsServed(t *testing.T) {
	s := newSystem(t)
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = New(Config{Listener: listener, Name: "x", Cluster: "c", Open: s.open, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("got %v", err)
	}
	if _, err := TLS(t.TempDir(), slog.New(slog.DiscardHandler)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", fmt.Sprint(err))
	}
}
