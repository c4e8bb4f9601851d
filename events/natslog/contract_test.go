package natslog

import (
	"log/slog"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/logtest"
)

func TestJetStreamLogKeepsTheContract(t *testing.T) {
	logtest.Run(t, func(t *testing.T) events.Log { return start(t, t.TempDir()) })
}

// start runs an embedded server on dir until the test ends.
func start(t testing.TB, dir string) *Log {
	t.Helper()
	l, err := StartServer(t.Context(), ServerConfig{Dir: dir, Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// logger writes warnings into the output of the test.
func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
