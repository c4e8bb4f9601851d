package standalone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/past"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/envoyproc"
	xdsserver "github.com/rutter-gateway/rutter/xds-server"
)

// RunPast serves one version of the past until ctx ends: the Envoys are real, and what
// is not here has stand-ins (package past). Of c are used the address, the Envoy, the
// ready file, and what is for printing; nothing durable is kept.
func RunPast(ctx context.Context, c Config, state *routing.State, portOffset int) error {
	return runPast(ctx, c, state, portOffset, nil)
}

// WithPast is [RunPast] until do has ended, which begins once the version is served.
func WithPast(ctx context.Context, c Config, state *routing.State, portOffset int, do func(context.Context) error) error {
	return runPast(ctx, c, state, portOffset, do)
}

func runPast(ctx context.Context, c Config, state *routing.State, portOffset int, do func(context.Context) error) error {
	if net.ParseIP(c.ListenAddress) == nil {
		return fmt.Errorf("listen address %q is not an IP address", c.ListenAddress)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("generate identity: %w", err)
	}
	standIns, err := past.StandIns(ctx, state, past.Config{ListenAddress: c.ListenAddress, PortOffset: portOffset, Identity: identity})
	if err != nil {
		return fmt.Errorf("serve version %s: %w", state.Version, err)
	}
	defer standIns.Close()
	if len(state.Gateways) == 0 {
		return fmt.Errorf("no Gateway was served at version %s", state.Version)
	}
	if c.Envoy, err = envoyproc.Find(ctx, c.Envoy); err != nil {
		return err
	}
	log := memlog.New(memlog.Config{MaxPayload: 1 << 30})
	defer log.Close()
	p := &pastRun{Config: c, log: log, past: standIns, published: state, identity: identity, streams: map[string]events.Stream{}}
	return p.run(ctx, do)
}

// pastRun is one version, as the only one of a log in memory.
type pastRun struct {
	Config
	log       *memlog.Log
	streams   map[string]events.Stream
	past      *past.Past
	published *routing.State
	identity  *age.X25519Identity
	screen    *screen
}

func (p *pastRun) run(ctx context.Context, do func(context.Context) error) error {
	if err := p.record(ctx); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rutter-")
	if err != nil {
		return fmt.Errorf("make a directory for sockets: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	p.screen = newScreen(p.Config, p.streams[events.StreamEvents])
	socket := filepath.Join(dir, "xds.sock")
	server, err := p.server(socket)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var services sync.WaitGroup
	services.Go(func() {
		if err := server.Run(ctx); err != nil && ctx.Err() == nil {
			cancel(fmt.Errorf("xds-server: %w", err))
		}
	})
	f := &fleet{path: p.Envoy, xds: socket, runDir: dir, logDir: dir, screen: p.screen, running: map[string]func(){}}
	served := map[string]bool{}
	for name := range p.past.State.Gateways {
		served[name] = true
	}
	f.Set(ctx, served)
	if err := p.show(ctx); err != nil {
		cancel(err)
	} else if do != nil && ctx.Err() == nil {
		cancel(do(ctx))
	}
	<-ctx.Done()
	f.Stop()
	services.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// record publishes the version, and that there are no endpoints but its own.
func (p *pastRun) record(ctx context.Context) error {
	for _, c := range events.Streams(1) {
		c.MaxAge = 0
		s, err := p.log.Stream(ctx, c)
		if err != nil {
			return err
		}
		p.streams[c.Name] = s
	}
	messages, err := routing.EncodeSnapshot(cluster, p.past.State.Full(), chunkBytes)
	if err == nil {
		_, err = p.streams[events.StreamSnapshots].Publish(ctx, messages...)
	}
	for _, kind := range []events.Type{events.TypeSyncStart, events.TypeSyncDone} {
		if err == nil {
			_, err = p.streams[events.StreamEndpoints].Publish(ctx, events.Encode(events.Event{
				ID: string(kind), Type: kind, Cluster: cluster, Key: events.SyncKey(events.EndpointSlices), Time: time.Now(), Data: []byte(`{"resource":"endpointslices"}`),
			}))
		}
	}
	return err
}

// chunkBytes is how much of a version goes into one message.
const chunkBytes = 512 << 10

func (p *pastRun) server(socket string) (*xdsserver.Server, error) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen for Envoys: %w", err)
	}
	return xdsserver.New(xdsserver.Config{
		Listener: listener, Name: "standalone", Cluster: cluster, Identity: p.identity,
		Logger: p.Logger, Registerer: prometheus.NewRegistry(), Observer: p.screen.Held,
		Open: func(context.Context) (xdsserver.Log, error) {
			return xdsserver.Log{
				Snapshots: func(ctx context.Context) (xdsserver.Snapshots, error) {
					bucket, err := p.log.Bucket(ctx, routing.CheckpointBucket)
					if err != nil {
						return nil, err
					}
					return routing.Follow(ctx, p.streams[events.StreamSnapshots], bucket)
				},
				Endpoints: p.streams[events.StreamEndpoints], Receipts: p.streams[events.StreamReceipts],
			}, nil
		},
	})
}

// show waits until every Envoy has the version, telling what they refuse, and prints
// what is served.
func (p *pastRun) show(ctx context.Context) error {
	v := newView()
	waiting := map[string]bool{}
	for name := range p.past.State.Gateways {
		waiting[name] = true
	}
	for len(waiting) > 0 {
		select {
		case <-ctx.Done():
			return nil
		case r := <-p.screen.receipts:
			p.screen.refused(v, r)
			if len(r.Refused) > 0 {
				p.screen.sayOnce("ports", "A port that is taken, or that only root may have, is another one with --port-offset 10000.")
			}
			if r.Held == p.past.State.Version {
				delete(waiting, r.Gateway)
			}
		}
	}
	var table bytes.Buffer
	if err := p.PrintState(&table, p.published); err != nil {
		return err
	}
	if _, err := p.Out.Write(table.Bytes()); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.past.Listeners)) {
		p.screen.Say("Gateway %s as it was at %s is on %s.", name, p.published.Time.UTC().Format(time.RFC3339), strings.Join(p.past.Listeners[name], ", "))
	}
	p.screen.Say("Backends are stand-ins that answer with their names; so are certificates, for the same hostnames. Ctrl-C ends.")
	return ready(p.ReadyFile, p.published.Version)
}
