package past

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// backend stands in for the endpoints of a cluster: whatever it is asked, it answers
// with the name of the cluster.
type backend struct {
	name    string
	port    int
	server  *http.Server
	packets net.PacketConn // nil unless datagrams are for it
	running sync.WaitGroup
}

// answer is what is sent back.
type answer struct {
	Backend string      `json:"backend"`
	Method  string      `json:"method,omitempty"`
	Host    string      `json:"host,omitempty"`
	Path    string      `json:"path,omitempty"`
	Headers http.Header `json:"headers,omitempty"`
}

// newBackend starts one on a port that is free. It speaks HTTP/1.1 and HTTP/2 in clear.
func newBackend(ctx context.Context, name string) (*backend, error) {
	b := &backend{name: name}
	if strings.HasSuffix(name, "/udp") {
		packets, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("start the stand-in of %s: %w", name, err)
		}
		b.packets = packets
		if address, ok := packets.LocalAddr().(*net.UDPAddr); ok {
			b.port = address.Port
		}
		b.running.Go(b.datagrams)
		return b, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the stand-in of %s: %w", name, err)
	}
	if address, ok := listener.Addr().(*net.TCPAddr); ok {
		b.port = address.Port
	}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols)}
	b.server.Protocols.SetHTTP1(true)
	b.server.Protocols.SetUnencryptedHTTP2(true)
	b.running.Go(func() { _ = b.server.Serve(listener) }) // until close
	return b, nil
}

// ServeHTTP implements [http.Handler].
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer{b.name, r.Method, r.Host, r.URL.RequestURI(), r.Header}) // the client may be gone
}

// datagrams answers each one.
func (b *backend) datagrams() {
	text, _ := json.Marshal(answer{Backend: b.name})
	buffer := make([]byte, 64<<10)
	for {
		_, from, err := b.packets.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = b.packets.WriteTo(append(text, '\n'), from) // the client may be gone
		}
	}
}

func (b *backend) close() {
	if b.packets != nil {
		_ = b.packets.Close()
	} else {
		_ = b.server.Close()
	}
	b.running.Wait()
}
