package xdsserver

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

// Names of the files in a directory of certificates, as a Secret of Kubernetes is
// mounted.
const (
	certificateFile = "tls.crt"
	keyFile         = "tls.key"
	authorityFile   = "ca.crt"
)

// TLS is the configuration of a server whose certificate, key and authority of the
// clients' certificates are in a directory. Every client must present a
// certificate. The files are read again when they have changed; while what is there
// cannot be used, the last that could be stays in force.
func TLS(dir string, logger *slog.Logger) (*tls.Config, error) {
	c := &certificates{dir: dir, logger: logger}
	if _, err := c.current(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
		ClientAuth:         tls.RequireAndVerifyClientCert,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current() },
	}, nil
}

type certificates struct {
	dir    string
	logger *slog.Logger

	mu      sync.Mutex
	files   [3]fs.FileInfo
	config  *tls.Config
	problem string
}

// current is the configuration that the files say.
func (c *certificates) current() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	files, err := c.stat()
	if err == nil && c.config != nil && same(files, c.files) {
		return c.config, nil
	}
	var config *tls.Config
	if err == nil {
		config, err = c.load()
	}
	switch {
	case err == nil:
		if c.config != nil {
			c.logger.Info("certificates are read again")
		}
		c.config, c.files, c.problem = config, files, ""
	case c.config == nil:
		return nil, fmt.Errorf("read certificates in %s: %w", c.dir, err)
	case err.Error() != c.problem:
		c.problem = err.Error()
		c.logger.Error("certificates cannot be read; those of before stay in force", slog.Any("error", err))
	}
	return c.config, nil
}

func (c *certificates) stat() (files [3]fs.FileInfo, err error) {
	for i, name := range []string{certificateFile, keyFile, authorityFile} {
		if files[i], err = os.Stat(filepath.Join(c.dir, name)); err != nil {
			return files, err
		}
	}
	return files, nil
}

func same(a, b [3]fs.FileInfo) bool {
	for i := range a {
		if !os.SameFile(a[i], b[i]) || a[i].ModTime() != b[i].ModTime() || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

func (c *certificates) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(c.dir, certificateFile), filepath.Join(c.dir, keyFile))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(c.dir, authorityFile))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("there is no certificate in " + authorityFile)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}, nil
}
