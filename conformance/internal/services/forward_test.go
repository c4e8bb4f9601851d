package services

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// backend listens and answers with its name once the client has said all.
func backend(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				said, _ := io.ReadAll(connection)
				_, _ = io.WriteString(connection, name+" heard "+string(said))
			}()
		}
	}()
	return netip.MustParseAddrPort(listener.Addr().String())
}

func startTCP(t *testing.T, backends ...netip.AddrPort) (*tcpForwarder, string) {
	t.Helper()
	forwarder, err := newTCP(netip.MustParseAddrPort("127.0.0.1:0"), backends)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(forwarder.close)
	return forwarder, forwarder.listener.Addr().String()
}

// say connects, says something, and returns the answer.
func say(address, something string) (string, error) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, something); err != nil {
		return "", err
	}
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(connection)
	return string(answer), err
}

// An end of what the client says must reach the endpoint while the answer is still due.
func TestTheEndOfOneDirectionIsPassedOn(t *testing.T) {
	_, address := startTCP(t, backend(t, "a"))
	if got, err := say(address, "hello"); err != nil || got != "a heard hello" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAnEndpointThatRefusesIsPassedOver(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := netip.MustParseAddrPort(listener.Addr().String())
	listener.Close()
	_, address := startTCP(t, gone, backend(t, "b"))
	for range 4 {
		if got, err := say(address, "x"); err != nil || got != "b heard x" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	_, address = startTCP(t, gone)
	if _, err := say(address, "x"); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("got %v, want a reset", err)
	}
}

func TestNewConnectionsGoToNewEndpoints(t *testing.T) {
	forwarder, address := startTCP(t, backend(t, "a"))
	old, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if _, err := io.WriteString(old, "1"); err != nil {
		t.Fatal(err)
	}
	if got, err := say(address, "2"); err != nil || got != "a heard 2" { // the one before is joined by now
		t.Fatalf("got %q, %v", got, err)
	}
	forwarder.update([]netip.AddrPort{backend(t, "b")})
	if got, err := say(address, "3"); err != nil || got != "b heard 3" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := old.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(old); err != nil || string(got) != "a heard 1" {
		t.Errorf("the connection before got %q, %v", got, err)
	}
}

func TestClosingEndsAllConnections(t *testing.T) {
	forwarder, address := startTCP(t, backend(t, "a"))
	open, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	forwarder.close()
	if _, err := io.ReadAll(open); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the address accepts")
	}
}
