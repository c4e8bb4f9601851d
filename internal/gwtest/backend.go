package gwtest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// Backend is a server on loopback that tells what it was asked.
type Backend struct {
	// Addr is host:port, Port the port alone.
	Addr string
	Port int
}

// Echo is what a backend answers, as JSON with status 200.
type Echo struct {
	Backend string `json:"backend"`
	Proto   string `json:"proto"`
	Method  string `json:"method"`
	Host    string `json:"host"`
	// Path is the path with the query, as it arrived.
	Path    string      `json:"path"`
	Headers http.Header `json:"headers"`
}

// StartBackend starts a backend that calls itself name, until the test ends. It
// speaks HTTP/1.1 and HTTP/2 in clear (h2c), and sends the messages of a WebSocket
// back as they came.
func StartBackend(t testing.TB, name string) *Backend {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start backend %s: %v", name, err)
	}
	var sockets sync.WaitGroup
	// Without Handshake, which would insist on an Origin that a proxy may not send.
	echo := websocket.Server{Handler: func(ws *websocket.Conn) {
		sockets.Add(1)
		defer sockets.Done()
		// The server's Close leaves it open; t.Context ends just before the cleanup.
		defer context.AfterFunc(t.Context(), func() { _ = ws.Close() })()
		_, _ = io.Copy(ws, ws) // until either side goes away
	}}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Protocols:         new(http.Protocols),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
				echo.ServeHTTP(w, r)
				return
			}
			answer(w, r, name)
		}),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close() // with the connections that a proxy keeps open
		if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("backend %s stopped: %v", name, err)
		}
		sockets.Wait()
	})
	return &Backend{Addr: listener.Addr().String(), Port: listener.Addr().(*net.TCPAddr).Port}
}

func answer(w http.ResponseWriter, r *http.Request, name string) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(Echo{ // the client may be gone
		Backend: name, Proto: r.Proto, Method: r.Method, Host: r.Host, Path: r.URL.RequestURI(), Headers: r.Header,
	})
}
