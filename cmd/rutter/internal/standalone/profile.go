package standalone

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// profiles serves what the Go runtime knows of this process, in the form that
// `go tool pprof` reads, until ctx ends. It holds the memory of the process, so
// that it is for this machine only.
func (r *run) profiles(ctx context.Context) error {
	if r.PprofAddress == "" {
		return nil
	}
	listener, err := listenLocal(ctx, r.PprofAddress)
	if err != nil {
		return err
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/debug/pprof/", pprof.Index)
	routes.HandleFunc("/debug/pprof/profile", pprof.Profile)
	routes.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: routes, ReadHeaderTimeout: time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	r.screen.Say("Profiles are served on http://%s/debug/pprof/.", listener.Addr())
	if err := server.Serve(listener); ctx.Err() == nil {
		return fmt.Errorf("serve profiles: %w", err)
	}
	return nil
}

func listenLocal(ctx context.Context, address string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve profiles: %w", err)
	}
	if !resolved.IP.IsLoopback() {
		return nil, fmt.Errorf("serve profiles: %s is not an address of this machine alone; use 127.0.0.1", address)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", resolved.String())
	if err != nil {
		return nil, fmt.Errorf("serve profiles: %w", err)
	}
	return listener, nil
}
