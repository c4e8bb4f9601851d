package tlsdir

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// Names of the files in a directory.
const (
	CertificateFile = "tls.crt"
	KeyFile         = "tls.key"
	// AuthorityFile signs the certificates of clients.
	AuthorityFile = "ca.crt"
)

// Files are a certificate, its key, and the authority of the clients' certificates.
type Files struct {
	dir     string
	clients bool
	logger  *slog.Logger

	mu      sync.Mutex
	found   []fs.FileInfo
	config  *tls.Config
	problem string
}

// New looks at a directory. Where clients is set, each must present a certificate that
// the authority in it has signed.
func New(dir string, clients bool, logger *slog.Logger) *Files {
	return &Files{dir: dir, clients: clients, logger: logger}
}

// Check tells whether there is anything to serve with by now.
func (f *Files) Check() error {
	_, err := f.current()
	return err
}

// Server is the configuration of a server of HTTP/2 (and, where no clients are
// verified, of HTTP/1.1). Where nothing is there yet, no client can connect.
func (f *Files) Server() *tls.Config {
	out := f.base()
	out.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.current() }
	return out
}

func (f *Files) base() *tls.Config {
	if f.clients {
		return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, ClientAuth: tls.RequireAndVerifyClientCert}
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
}

// current is the configuration that the files say.
func (f *Files) current() (*tls.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found, err := f.stat()
	if err == nil && f.config != nil && same(found, f.found) {
		return f.config, nil
	}
	var config *tls.Config
	if err == nil {
		config, err = f.load()
	}
	switch {
	case err == nil:
		if f.config != nil {
			f.logger.Info("certificates are read again")
		}
		f.config, f.found, f.problem = config, found, ""
	case f.config == nil:
		return nil, fmt.Errorf("read certificates in %s: %w", f.dir, err)
	case err.Error() != f.problem:
		f.problem = err.Error()
		f.logger.Error("certificates cannot be read; those of before stay in force", slog.Any("error", err))
	}
	return f.config, nil
}

func (f *Files) stat() ([]fs.FileInfo, error) {
	names := []string{CertificateFile, KeyFile}
	if f.clients {
		names = append(names, AuthorityFile)
	}
	var out []fs.FileInfo
	for _, name := range names {
		info, err := os.Stat(filepath.Join(f.dir, name))
		if err != nil {
			return nil, err
		}
		out = append(out, info)
	}
	return out, nil
}

func same(a, b []fs.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || a[i].ModTime() != b[i].ModTime() || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

func (f *Files) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(f.dir, CertificateFile), filepath.Join(f.dir, KeyFile))
	if err != nil {
		return nil, err
	}
	out := f.base()
	out.Certificates = []tls.Certificate{pair}
	if !f.clients {
		return out, nil
	}
	authority, err := os.ReadFile(filepath.Join(f.dir, AuthorityFile))
	if err != nil {
		return nil, err
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(authority) {
		return nil, errors.New("there is no certificate in " + AuthorityFile)
	}
	return out, nil
}
