package podnet_test

import (
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/conformance/internal/isolation"
	"github.com/rutter-gateway/rutter/conformance/internal/podnet"
)

func TestMain(m *testing.M) { os.Exit(isolation.Run(m.Run)) }

// One network for all tests: the bridge is there once.
func TestPods(t *testing.T) {
	network, err := podnet.New(netip.MustParsePrefix("10.244.0.0/16"))
	if err != nil {
		t.Fatal(err)
	}
	if err := podnet.AddLocal(netip.MustParsePrefix("10.96.0.0/16")); err != nil {
		t.Fatal(err)
	}
	one, other := add(t, network), add(t, network)

	t.Run("a pod reaches another by address", func(t *testing.T) {
		listener := listenIn(t, one)
		sayHello(t, other, listener)
	})
	t.Run("a pod reaches an address of a Service", func(t *testing.T) {
		listener, err := net.Listen("tcp", "10.96.12.34:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		sayHello(t, one, listener)
	})
	t.Run("a loopback is not shared", func(t *testing.T) {
		var listener net.Listener
		err := one.Do(func() (err error) {
			listener, err = net.Listen("tcp", "127.0.0.1:0")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		if err := other.Do(func() error {
			connection, err := net.Dial("tcp", listener.Addr().String())
			if err == nil {
				connection.Close()
			}
			return err
		}); err == nil {
			t.Error("the loopback of another pod answers")
		}
	})
	t.Run("an address is given out once", func(t *testing.T) {
		gone := add(t, network)
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		if next := add(t, network); next.IP == gone.IP {
			t.Errorf("%s is given out again", next.IP)
		}
	})
	t.Run("a pod that is closed leaves no device behind", func(t *testing.T) {
		before := devices(t)
		namespace, err := network.Add()
		if err != nil {
			t.Fatal(err)
		}
		if err := namespace.Close(); err != nil {
			t.Fatal(err)
		}
		if after := devices(t); after != before {
			t.Errorf("devices are %s, were %s", after, before)
		}
	})
	t.Run("the thread is put back", func(t *testing.T) {
		want := devices(t)
		for range 50 {
			if err := one.Do(func() error { return nil }); err != nil {
				t.Fatal(err)
			}
			if got := devices(t); got != want {
				t.Fatalf("devices are %s, want %s", got, want)
			}
		}
	})
}

func add(t *testing.T, network *podnet.Network) *podnet.Namespace {
	t.Helper()
	namespace, err := network.Add()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := namespace.Close(); err != nil && !strings.Contains(err.Error(), "bad file descriptor") {
			t.Error(err)
		}
	})
	return namespace
}

func listenIn(t *testing.T, pod *podnet.Namespace) net.Listener {
	t.Helper()
	var listener net.Listener
	if err := pod.Do(func() (err error) {
		listener, err = net.Listen("tcp", net.JoinHostPort(pod.IP.String(), "0"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// sayHello connects from a pod to the listener, and expects what it is told.
func sayHello(t *testing.T, pod *podnet.Namespace, listener net.Listener) {
	t.Helper()
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return // the listener was closed: the other side says why
		}
		defer connection.Close()
		_, _ = io.WriteString(connection, "hello")
	}()
	var connection net.Conn
	if err := pod.Do(func() (err error) {
		connection, err = net.Dial("tcp", listener.Addr().String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if got, err := io.ReadAll(connection); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
}

func devices(t *testing.T) string {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, found := range interfaces {
		names = append(names, found.Name)
	}
	return strings.Join(names, " ")
}
