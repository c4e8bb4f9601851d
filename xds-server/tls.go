package xdsserver

import (
	"crypto/tls"
	"log/slog"

	"github.com/rutter-gateway/rutter/internal/tlsdir"
)

// TLS is the configuration of a server whose certificate, key and authority of the
// clients' certificates are in a directory. Every client must present a certificate.
func TLS(dir string, logger *slog.Logger) (*tls.Config, error) {
	files := tlsdir.New(dir, true, logger)
	if err := files.Check(); err != nil {
		return nil, err
	}
	return files.Server(), nil
}
