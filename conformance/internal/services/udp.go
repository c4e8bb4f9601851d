package services

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// sessionIdle is how long a client keeps its endpoint without a datagram.
	sessionIdle = 60 * time.Second
	maxDatagram = 64 << 10
)

// udpForwarder sends the datagrams of each client to one endpoint, and what that
// answers back to the client.
type udpForwarder struct {
	rotation
	socket  *net.UDPConn
	running sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	sessions map[netip.AddrPort]*session
}

type session struct {
	backend netip.AddrPort
	socket  *net.UDPConn
}

func newUDP(address netip.AddrPort, backends []netip.AddrPort) (*udpForwarder, error) {
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(address))
	if err != nil {
		return nil, err
	}
	forwarder := &udpForwarder{socket: socket, sessions: make(map[netip.AddrPort]*session)}
	forwarder.update(backends)
	forwarder.running.Go(forwarder.receive)
	return forwarder, nil
}

// update moves the clients of endpoints that are gone to others.
func (f *udpForwarder) update(backends []netip.AddrPort) {
	f.rotation.update(backends)
	f.mu.Lock()
	defer f.mu.Unlock()
	for client, session := range f.sessions {
		if !slices.Contains(backends, session.backend) {
			session.socket.Close()
			delete(f.sessions, client)
		}
	}
}

func (f *udpForwarder) receive() {
	buffer := make([]byte, maxDatagram)
	for {
		n, client, err := f.socket.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // told of an earlier datagram that did not arrive
		}
		if session := f.session(client); session != nil {
			_, _ = session.socket.Write(buffer[:n]) // datagrams may be lost
		}
	}
}

// session returns the session of a client, or nil where none can be made.
func (f *udpForwarder) session(client netip.AddrPort) *session {
	f.mu.Lock()
	defer f.mu.Unlock()
	if existing, found := f.sessions[client]; found {
		return existing
	}
	if f.closed {
		return nil
	}
	backend := f.candidates()[0]
	socket, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(backend))
	if err != nil {
		return nil
	}
	made := &session{backend: backend, socket: socket}
	f.sessions[client] = made
	f.running.Go(func() { f.answer(client, made) })
	return made
}

// answer sends to the client what its endpoint says, until neither has said anything
// for a while.
func (f *udpForwarder) answer(client netip.AddrPort, session *session) {
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		session.socket.Close()
		if f.sessions[client] == session {
			delete(f.sessions, client)
		}
	}()
	buffer := make([]byte, maxDatagram)
	for {
		_ = session.socket.SetReadDeadline(time.Now().Add(sessionIdle)) // closed: then reading says so
		n, err := session.socket.Read(buffer)
		if err != nil {
			return
		}
		_, _ = f.socket.WriteToUDPAddrPort(buffer[:n], client)
	}
}

func (f *udpForwarder) close() {
	f.socket.Close()
	f.mu.Lock()
	f.closed = true
	for _, session := range f.sessions {
		session.socket.Close()
	}
	f.mu.Unlock()
	f.running.Wait()
}
