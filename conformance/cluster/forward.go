package cluster

import (
	"io"
	"net"
	"net/netip"
	"sync"
)

// forward joins each connection that a listener accepts to one with an address, until
// the listener is closed. Then it closes all of them.
func forward(listener net.Listener, to netip.AddrPort) {
	var running sync.WaitGroup
	defer running.Wait()
	var mu sync.Mutex
	open := make(map[net.Conn]struct{})
	for {
		client, err := listener.Accept()
		if err != nil {
			break
		}
		running.Go(func() {
			defer client.Close()
			server, err := net.Dial("tcp", to.String())
			if err != nil {
				return // the API server is down; clients see a connection that ends
			}
			defer server.Close()
			mu.Lock()
			open[client] = struct{}{}
			mu.Unlock()
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				delete(open, client)
			}()
			var both sync.WaitGroup
			both.Go(func() {
				_, _ = io.Copy(server, client) // an error ends both
				server.Close()
			})
			_, _ = io.Copy(client, server)
			client.Close()
			both.Wait()
		})
	}
	mu.Lock()
	defer mu.Unlock()
	for client := range open {
		client.Close()
	}
}
