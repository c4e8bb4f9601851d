package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// between is the pause between two requests: without one, client and proxies take
	// both processors, and what is measured is the scheduler.
	between = 400 * time.Microsecond
	// lastAnswer is how long an answer may take.
	lastAnswer = 10 * time.Second
)

// Poller asks one server again and again on one connection. It is not for use by
// several goroutines.
type Poller struct {
	connection net.Conn
	answers    *bufio.Reader
}

// NewPoller connects to a server.
func NewPoller(ctx context.Context, address string) (*Poller, error) {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &Poller{connection: connection, answers: bufio.NewReader(connection)}, nil
}

// Close ends the connection.
func (p *Poller) Close() error { return p.connection.Close() }

// Get asks for "/" of a host and returns the code of the answer. After an error the
// Poller is of no more use.
func (p *Poller) Get(host string) (int, error) {
	if err := p.connection.SetDeadline(time.Now().Add(lastAnswer)); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(p.connection, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return 0, fmt.Errorf("ask for %s: %w", host, err)
	}
	answer, err := http.ReadResponse(p.answers, nil)
	if err != nil {
		return 0, fmt.Errorf("the answer of %s: %w", host, err)
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// pause is the time between two requests, by the system's clock: a timer of Go's is a
// millisecond late while nothing else runs.
func pause() {
	span := unix.NsecToTimespec(int64(between))
	_ = unix.Nanosleep(&span, nil) // a signal makes it shorter
}
