package gwtest

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events/natslog"
)

// NATS is the URL of a NATS server with JetStream that ends with the test.
func NATS(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	log, err := natslog.StartServer(t.Context(), natslog.ServerConfig{Dir: dir, Share: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	url, err := os.ReadFile(filepath.Join(dir, natslog.OwnerFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(url))
}
