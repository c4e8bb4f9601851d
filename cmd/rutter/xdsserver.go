package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/process"
	xdsserver "github.com/rutter-gateway/rutter/xds-server"
)

// xdsServerFlags are those of the command besides the common ones.
type xdsServerFlags struct{ listen, identityFile, tlsDir, localCopy string }

func newXDSServerCommand(env *environment) *cobra.Command {
	c := process.Config{Version: version, Output: env.err}
	var f xdsServerFlags
	cmd := &cobra.Command{
		Use:   "xds-server",
		Short: "Service: serve Envoys what is published, and record what they hold",
		Long: `Service: serve Envoys what is published in SNAPSHOTS and ENDPOINTS, and record in RECEIPTS what
they hold. Any number of them serve side by side. While NATS is away they go on, also after a
restart: from the local copy.

An Envoy presents a certificate with the URI spiffe://rutter.dev/gateway/NAMESPACE/NAME, and is
served that Gateway only. Without --tls-dir only Envoys on this machine are served.`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return process.Run(cmd.Context(), c, func(ctx context.Context, p *process.Process) error { return runXDSServer(ctx, p, f) })
		},
	}
	flags := cmd.Flags()
	c.Bind(flags)
	flags.StringVar(&f.listen, "listen", ":18000", "where Envoys connect: HOST:PORT, or unix:PATH")
	flags.StringVar(&f.identityFile, "identity-file", "", "age identities that open the private keys in the log; without them no Secret with a key is served")
	flags.StringVar(&f.tlsDir, "tls-dir", "", "directory with tls.crt and tls.key of this server, and ca.crt that signs the Envoys' certificates")
	flags.StringVar(&f.localCopy, "local-copy", "", "directory, of this server alone, for a copy of what is served; it should outlive the process")
	return cmd
}

func runXDSServer(ctx context.Context, p *process.Process, f xdsServerFlags) error {
	var config *tls.Config
	if f.tlsDir != "" {
		var err error
		if config, err = xdsserver.TLS(f.tlsDir, p.Logger); err != nil {
			return err
		}
	}
	identity, err := readIdentities(f.identityFile)
	if err != nil {
		return err
	}
	listener, err := listenFor(f.listen)
	if err != nil {
		return fmt.Errorf("listen for Envoys: %w", err)
	}
	log := &lateLog{process: p}
	defer log.close()
	server, err := xdsserver.New(xdsserver.Config{
		Listener: listener, TLS: config, Name: p.Name, Cluster: p.Cluster, Open: log.open, Identity: identity,
		LocalCopy: f.localCopy, Logger: p.Logger, Registerer: p.Registry,
	})
	if err != nil {
		_ = listener.Close() // the error that counts is err
		return err
	}
	p.Logger.Info("envoys are served", "address", listener.Addr().String())
	p.ReadyWhen(server.Ready)
	return server.Run(ctx)
}

func listenFor(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return net.Listen("unix", path)
	}
	return net.Listen("tcp", address)
}

// lateLog is opened once NATS is there, while the local copy is served already.
type lateLog struct {
	process *process.Process
	session *process.Session
}

func (l *lateLog) open(ctx context.Context) (xdsserver.Log, error) {
	s, err := l.process.Open(ctx)
	if err != nil {
		return xdsserver.Log{}, err
	}
	l.session = s
	return xdsserver.Log{
		Snapshots: func(ctx context.Context) (xdsserver.Snapshots, error) {
			// Opened anew each time: the stream may be another one than before.
			stream, err := s.Log.Stream(ctx, events.StreamConfig{Name: events.StreamSnapshots})
			if err != nil {
				return nil, err
			}
			bucket, err := s.Log.Bucket(ctx, routing.CheckpointBucket)
			if err != nil {
				return nil, err
			}
			return routing.Follow(ctx, stream, bucket)
		},
		Endpoints: &reopened{Stream: s.Streams[events.StreamEndpoints], log: s.Log, name: events.StreamEndpoints},
		Receipts:  s.Streams[events.StreamReceipts], Heartbeats: s.Log,
		Measured: map[string]process.Measured{
			events.StreamSnapshots: s.Streams[events.StreamSnapshots], events.StreamEndpoints: s.Streams[events.StreamEndpoints],
		},
	}, nil
}

func (l *lateLog) close() {
	if l.session != nil {
		l.session.Log.Close()
	}
}

// reopened is a stream that is opened anew whenever it is asked what it is: it may
// have been rebuilt.
type reopened struct {
	events.Stream

	log  events.Log
	name string
}

// Info implements [events.Stream].
func (r *reopened) Info(ctx context.Context) (events.StreamInfo, error) {
	stream, err := r.log.Stream(ctx, events.StreamConfig{Name: r.name})
	if err != nil {
		return events.StreamInfo{}, err
	}
	r.Stream = stream
	return stream.Info(ctx)
}

// readIdentities reads those in a file; nil for no file.
func readIdentities(path string) (age.Identity, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // none is what is asked for
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	defer file.Close()
	all, err := age.ParseIdentities(file)
	if err != nil {
		return nil, fmt.Errorf("read identities in %s: %w", path, err)
	}
	return identities(all), nil
}

// identities open what was sealed to any of them: while recipients are rotated
// there are two.
type identities []age.Identity

// Unwrap implements [age.Identity].
func (all identities) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, i := range all {
		if key, err := i.Unwrap(stanzas); !errors.Is(err, age.ErrIncorrectIdentity) {
			return key, err
		}
	}
	return nil, age.ErrIncorrectIdentity
}
