package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// httpClient asks for a host at a port, on a new connection each time.
func httpClient(ctx context.Context, scheme, host string, port int) func() error {
	transport := httpTransport(host)
	return func() error {
		status, body, err := get(context.WithoutCancel(ctx), transport, fmt.Sprintf("%s://127.0.0.1:%d/", scheme, port), host)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", status, body)
		}
		return err
	}
}

// keptClient asks for a host at a port, always on one connection; that it does not last
// is a failure. It is not an http.Transport because that gives up connections by itself
// where a machine is slow.
func keptClient(ctx context.Context, scheme, host string, port int) func() error {
	var conn net.Conn
	var reader *bufio.Reader
	dial := func() (err error) {
		dialer := &net.Dialer{Timeout: 5 * time.Second}
		conn, err = dialer.DialContext(context.WithoutCancel(ctx), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil && scheme == "https" {
			conn = tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true}) //nolint:gosec // who answers is seen by what is said
		}
		if err == nil {
			reader = bufio.NewReader(conn)
		}
		return err
	}
	ask := func() error {
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/", http.NoBody)
		if err != nil {
			return err
		}
		if err := request.Write(conn); err != nil {
			return err
		}
		response, err := http.ReadResponse(reader, request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		switch {
		case err != nil:
			return err
		case response.StatusCode != http.StatusOK:
			return fmt.Errorf("status %d: %s", response.StatusCode, body)
		case response.Close:
			return errors.New("the connection ends with this answer")
		}
		return nil
	}
	return func() error {
		if conn == nil {
			if err := dial(); err != nil {
				return err
			}
		}
		err := ask()
		if err != nil {
			conn.Close()
			conn = nil
		}
		return err
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
