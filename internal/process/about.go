package process

import (
	"log/slog"

	"github.com/rutter-gateway/rutter/events"
)

// About is what every line of a log about an object has: which one it is, of which
// generation (0 where it has none, or it is not known), and how often before what the
// line is about was tried.
func About(key events.Key, generation int64, retryCount int) slog.Attr {
	return slog.Group("", slog.String("resource", key.Resource), slog.String("namespace", key.Namespace), slog.String("name", key.Name),
		slog.Int64("generation", generation), slog.Int("retryCount", retryCount))
}
