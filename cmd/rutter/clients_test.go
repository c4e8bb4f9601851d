package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// httpClient asks for a host at a port, on a new connection each time or always on the
// same one; one that does not last is a failure too.
func httpClient(ctx context.Context, scheme, host string, port int, keep bool) func() error {
	var dialled int
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		DisableKeepAlives: !keep,
		MaxConnsPerHost:   1,                                                       // instead of a second one while the first is still being put back
		TLSClientConfig:   &tls.Config{ServerName: host, InsecureSkipVerify: true}, //nolint:gosec // who answers is seen by what is said
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled++
			return dialer.DialContext(ctx, network, address)
		},
	}
	return func() error {
		status, body, err := get(context.WithoutCancel(ctx), transport, fmt.Sprintf("%s://127.0.0.1:%d/", scheme, port), host)
		switch {
		case err != nil:
			return err
		case status != http.StatusOK:
			return fmt.Errorf("status %d: %s", status, body)
		case keep && dialled > 1:
			err := fmt.Errorf("connection %d became necessary", dialled)
			dialled = 1
			return err
		}
		return nil
	}
}

// httpTransport makes a new connection for each request, with a server name.
func httpTransport(name string) *http.Transport {
	return &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{ServerName: name, InsecureSkipVerify: true}} //nolint:gosec // who answers is seen by what is said
}

// udpClient sends a datagram from a new port each time, and waits for its echo.
func udpClient(port int) func() error { return udpClientAt(fmt.Sprintf("127.0.0.1:%d", port)) }

func udpClientAt(address string) func() error {
	return func() error {
		conn, err := net.Dial("udp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		if _, err := conn.Write([]byte("ping")); err != nil {
			return err
		}
		buffer := make([]byte, 64)
		n, err := conn.Read(buffer)
		if err == nil && !strings.HasPrefix(string(buffer[:n]), "ping") {
			err = errors.New("another answer")
		}
		return err
	}
}

// udpEcho is the port of a server that sends back what it gets.
func udpEcho(t *testing.T) int {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		buffer := make([]byte, 1024)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buffer[:n], from)
		}
	})
	t.Cleanup(func() { _ = conn.Close(); running.Wait() })
	return conn.LocalAddr().(*net.UDPAddr).Port
}
