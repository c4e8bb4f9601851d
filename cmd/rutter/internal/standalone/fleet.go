package standalone

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rutter-gateway/rutter/internal/envoyproc"
)

// fleet is the Envoys: one for each Gateway that has something to serve.
type fleet struct {
	path   string // of the Envoy binary
	xds    string // socket of the xDS server
	runDir string // private directory for sockets and bootstraps
	logDir string
	screen *screen

	running map[string]func() // by Gateway: stops it and waits
}

// Set starts and stops Envoys until exactly these Gateways have one.
func (f *fleet) Set(ctx context.Context, gateways map[string]bool) {
	for name := range maps.Clone(f.running) {
		if !gateways[name] {
			f.running[name]()
			delete(f.running, name)
		}
	}
	for name := range gateways {
		if f.running[name] == nil {
			f.running[name] = f.start(ctx, name)
		}
	}
}

func (f *fleet) start(ctx context.Context, gateway string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		if err := f.run(ctx, gateway); err != nil {
			f.screen.Say("The Envoy of Gateway %s does not run: %v", gateway, err)
		}
	})
	return func() { cancel(); done.Wait() }
}

func (f *fleet) run(ctx context.Context, gateway string) error {
	name := strings.ReplaceAll(gateway, "/", "_")
	dir, err := os.MkdirTemp(f.runDir, "envoy-")
	if err != nil {
		return err
	}
	log, err := openLog(filepath.Join(f.logDir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	return envoyproc.Run(ctx, envoyproc.Config{
		Path: f.path, NodeID: "standalone-" + name, Gateway: gateway, XDS: f.xds, RunDir: dir, Output: log,
		OnExit: func(err error, wait time.Duration) {
			f.screen.Say("The Envoy of Gateway %s died (%v) and is started again in %s; its log is %s.", gateway, err, wait, log.path)
		},
	})
}

// Stop ends all Envoys and waits for them.
func (f *fleet) Stop() {
	f.Set(context.Background(), nil)
}
