package services

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// dialLimit is how long an endpoint may take to accept, before another is tried.
const dialLimit = 2 * time.Second

// rotation hands out endpoints in turn.
type rotation struct {
	backends atomic.Pointer[[]netip.AddrPort]
	next     atomic.Uint32
}

func (r *rotation) update(backends []netip.AddrPort) { r.backends.Store(&backends) }

// candidates are all endpoints, the one whose turn it is first.
func (r *rotation) candidates() []netip.AddrPort {
	backends := *r.backends.Load()
	first := int(r.next.Add(1)) % len(backends)
	return append(backends[first:len(backends):len(backends)], backends[:first]...)
}

// tcpForwarder accepts connections and joins each to one with an endpoint.
type tcpForwarder struct {
	rotation
	listener *net.TCPListener
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[*net.TCPConn]struct{}
}

func newTCP(address netip.AddrPort, backends []netip.AddrPort) (*tcpForwarder, error) {
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(address))
	if err != nil {
		return nil, err
	}
	forwarder := &tcpForwarder{listener: listener, open: make(map[*net.TCPConn]struct{})}
	forwarder.update(backends)
	forwarder.running.Go(forwarder.accept)
	return forwarder, nil
}

func (f *tcpForwarder) accept() {
	for {
		client, err := f.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // this one connection, or a lack of descriptors that passes
			time.Sleep(10 * time.Millisecond)
			continue
		}
		f.running.Go(func() { f.serve(client) })
	}
}

// serve joins a client to the first endpoint that accepts.
func (f *tcpForwarder) serve(client *net.TCPConn) {
	endpoint, err := f.dial()
	if err != nil {
		_ = client.SetLinger(0) // refused, as if nobody had listened
		client.Close()
		return
	}
	if !f.track(client, endpoint) {
		return
	}
	defer f.forget(client, endpoint)
	var both sync.WaitGroup
	both.Go(func() { pipe(endpoint, client) })
	pipe(client, endpoint)
	both.Wait()
}

func (f *tcpForwarder) dial() (*net.TCPConn, error) {
	var errs []error
	for _, backend := range f.candidates() {
		connection, err := net.DialTimeout("tcp", backend.String(), dialLimit)
		if err == nil {
			return connection.(*net.TCPConn), nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("no endpoint accepts: %w", errors.Join(errs...))
}

// pipe copies until the source ends, and ends the destination in the same way.
func pipe(destination, source *net.TCPConn) {
	if _, err := io.Copy(destination, source); err != nil {
		// A connection that broke must break on the other side, not end as if all
		// had been said.
		_ = destination.SetLinger(0)
		destination.Close()
		source.Close()
		return
	}
	_ = destination.CloseWrite() // closed already: then there is nothing to end
}

func (f *tcpForwarder) track(connections ...*net.TCPConn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, connection := range connections {
		if f.closed {
			connection.Close()
			continue
		}
		f.open[connection] = struct{}{}
	}
	return !f.closed
}

func (f *tcpForwarder) forget(connections ...*net.TCPConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, connection := range connections {
		delete(f.open, connection)
		connection.Close()
	}
}

// close ends the listener and, with it, all connections: the address is nobody's now.
func (f *tcpForwarder) close() {
	f.listener.Close()
	f.mu.Lock()
	f.closed = true
	for connection := range f.open {
		connection.Close()
	}
	f.mu.Unlock()
	f.running.Wait()
}
