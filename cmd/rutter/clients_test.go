package main

import (
	"bufio"
	"bytes"
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
	return client(ctx, httpTransport(host), scheme, host, port)
}

// keptClient asks for a host at a port, always on one connection; that it does not last
// is a failure.
func keptClient(ctx context.Context, scheme, host string, port int) func() error {
	kept := &keptTransport{tls: httpTransport(host).TLSClientConfig}
	ask := client(ctx, kept, scheme, host, port)
	return func() error {
		err := ask()
		if err == nil && kept.conn == nil {
			err = errors.New("the connection ends with this answer")
		}
		return err
	}
}

func client(ctx context.Context, transport http.RoundTripper, scheme, host string, port int) func() error {
	return func() error {
		status, body, err := get(context.WithoutCancel(ctx), transport, fmt.Sprintf("%s://127.0.0.1:%d/", scheme, port), host)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", status, body)
		}
		return err
	}
}

// keptTransport sends one request after the other over one connection, and makes another
// one only where that has failed or was ended by the other side. An http.Transport gives up connections by itself
// where a machine is slow.
type keptTransport struct {
	tls     *tls.Config // for https
	conn    net.Conn
	reader  *bufio.Reader
	dialled int
}

func (k *keptTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if k.conn == nil {
		if err := k.dial(request); err != nil {
			return nil, err
		}
	}
	response, err := k.exchange(request)
	if err != nil || response.Close {
		k.CloseIdleConnections()
	}
	return response, err
}

func (k *keptTransport) dial(request *http.Request) error {
	k.dialled++
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(request.Context(), "tcp", request.URL.Host)
	if err != nil {
		return err
	}
	if request.URL.Scheme == "https" {
		conn = tls.Client(conn, k.tls)
	}
	k.conn, k.reader = conn, bufio.NewReader(conn)
	return nil
}

// exchange has read all of the answer, so that the next one begins where it ends.
func (k *keptTransport) exchange(request *http.Request) (*http.Response, error) {
	if err := k.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	if err := request.Write(k.conn); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(k.reader, request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// CloseIdleConnections ends the connection, between two requests.
func (k *keptTransport) CloseIdleConnections() {
	if k.conn != nil {
		k.conn.Close()
		k.conn = nil
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
