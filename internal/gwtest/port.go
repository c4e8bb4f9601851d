package gwtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreePort is a port of this machine that nobody listens on, and that nobody comes by who
// only connects: those ports begin at 32768. Whoever gets it binds it seconds later.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000)))
		if err != nil {
			continue
		}
		defer l.Close()
		if address, ok := l.Addr().(*net.TCPAddr); ok {
			return address.Port
		}
	}
	t.Fatal("no port is free")
	return 0
}
