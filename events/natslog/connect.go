package natslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rutter-gateway/rutter/events"
)

// Config says which NATS to use, and as whom.
type Config struct {
	// URL is one or more addresses, separated by commas.
	URL string
	// Name of this client in the server's monitoring.
	Name string
	// Credentials is the file of a NATS user (.creds); empty for none.
	Credentials string
	// CA, Certificate and Key are PEM files for TLS; empty for none.
	CA, Certificate, Key string
	Logger               *slog.Logger
}

// Log is a connection to JetStream. It is safe for concurrent use.
type Log struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	logger *slog.Logger
	// patience is how long a request may stay without an answer before it is
	// looked into.
	patience time.Duration
	// room refuses so many bytes when the disk is too full for them; set where the
	// server is ours.
	room func(bytes int) error
	// release is called by Close after the connection is gone.
	release func()
}

var _ events.Log = (*Log)(nil)

// ErrAddress is that of an address that leads nowhere.
var ErrAddress = errors.New("give it as nats://HOST:PORT")

// Connect connects to NATS, trying until ctx ends, and from then on reconnects
// by itself. It does not try where the URL names no server: [ErrAddress].
func Connect(ctx context.Context, c Config) (*Log, error) {
	if c.URL == "" || c.Logger == nil {
		return nil, errors.New("connect to NATS: the URL or the logger is missing")
	}
	if err := checkURL(c.URL); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	options := []nats.Option{nats.Name(c.Name)}
	if c.Credentials != "" {
		options = append(options, nats.UserCredentials(c.Credentials))
	}
	if c.CA != "" {
		options = append(options, nats.RootCAs(c.CA))
	}
	if c.Certificate != "" {
		options = append(options, nats.ClientCert(c.Certificate, c.Key))
	}
	for {
		l, err := dial(c.URL, c.Logger, options...)
		if err == nil {
			return l, nil
		}
		if !pause(ctx, 500*time.Millisecond) {
			return nil, fmt.Errorf("connect to NATS at %s: %w", redacted(c.URL), err)
		}
	}
}

// checkURL refuses an address that leads nowhere, for which nobody need wait.
func checkURL(urls string) error {
	for address := range strings.SplitSeq(urls, ",") {
		address = strings.TrimSpace(address)
		if !strings.Contains(address, "://") {
			address = "nats://" + address
		}
		if u, err := url.Parse(address); err != nil || u.Hostname() == "" {
			return fmt.Errorf("the URL %q names no server: %w", redacted(urls), ErrAddress)
		}
	}
	return nil
}

// redacted are the addresses without the passwords and tokens in them.
func redacted(urls string) string {
	all := strings.Split(urls, ",")
	for i, address := range all {
		if at := strings.LastIndexByte(address, '@'); at >= 0 {
			all[i] = "…" + address[at:]
		}
	}
	return strings.Join(all, ",")
}

func dial(url string, logger *slog.Logger, options ...nats.Option) (*Log, error) {
	const patience = 5 * time.Second
	options = append(options,
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond),
		// Nothing is kept back while disconnected: what an append or a heartbeat
		// could not send is over, and must not go out minutes later.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil when it was closed
				logger.Warn("connection to NATS lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { logger.Info("connection to NATS restored") }),
		// Readers notice what they miss by themselves.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	)
	conn, err := nats.Connect(url, options...)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &Log{conn: conn, js: js, logger: logger, patience: patience, room: func(int) error { return nil }, release: func() {}}, nil
}

// Close implements [events.Log]; a server that came with the log is stopped.
func (l *Log) Close() {
	l.conn.Close()
	l.release()
}

// pause waits, and tells whether ctx is still alive after it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
