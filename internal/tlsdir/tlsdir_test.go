package tlsdir_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/internal/tlsdir"
)

func install(t *testing.T, dir string) {
	t.Helper()
	cert, key := gwtest.Certificate(t, "localhost")
	for name, data := range map[string][]byte{tlsdir.CertificateFile: cert, tlsdir.KeyFile: key} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACertificateMayComeLaterAndIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	files := tlsdir.New(dir, false, slog.New(slog.DiscardHandler))
	if err := files.Check(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing is there: %v", err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", files.Server())
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake() // the client says how it went
			_ = c.Close()
		}
	})
	defer serving.Wait()
	defer listener.Close()
	served := func() string {
		t.Helper()
		c, err := tls.Dial("tcp", listener.Addr().(*net.TCPAddr).String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			return ""
		}
		defer c.Close()
		if c.ConnectionState().NegotiatedProtocol != "h2" {
			t.Error("HTTP/2 is not spoken")
		}
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	if served() != "" {
		t.Error("something is served with no certificate")
	}
	install(t, dir)
	first := served()
	if err := os.WriteFile(filepath.Join(dir, tlsdir.KeyFile), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := served(); first == "" || got != first {
		t.Errorf("with half of a change %q is served, not %q", got, first)
	}
	install(t, dir)
	if got := served(); got == "" || got == first {
		t.Errorf("%q is served after a change", got)
	}
}
