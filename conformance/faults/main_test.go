package faults

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/kubernetes"
	gateway "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"

	"github.com/rutter-gateway/rutter/conformance/cluster"
	"github.com/rutter-gateway/rutter/conformance/install"
)

// world is the cluster of all tests, with the chart in it.
type world struct {
	*cluster.Cluster
	programs install.Programs
	core     kubernetes.Interface
	gateway  gateway.Interface
}

var shared *world

func TestMain(m *testing.M) {
	os.Exit(cluster.Main(func() int {
		started, err := start(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		shared = started
		code := m.Run()
		if err := started.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		if code != 0 {
			fmt.Fprintln(os.Stderr, "logs of pods and control plane:", started.Logs)
		}
		return code
	}))
}

func start(ctx context.Context) (*world, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(root, "bin")
	started, err := cluster.Start(ctx, cluster.Config{
		Dir: filepath.Join(root, "conformance", ".cluster"), Bin: bin, Images: cluster.DefaultImages(bin),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return nil, err
	}
	w := &world{Cluster: started, programs: install.Programs{Bin: bin, Kubeconfig: started.Kubeconfig}}
	if err := w.install(ctx, filepath.Join(root, "deploy", "helm", "rutter")); err != nil {
		fmt.Fprintln(os.Stderr, "stop:", started.Stop())
		return nil, err
	}
	return w, nil
}

func (w *world) install(ctx context.Context, chart string) (err error) {
	if w.core, err = kubernetes.NewForConfig(w.Client); err != nil {
		return err
	}
	if w.gateway, err = gateway.NewForConfig(w.Client); err != nil {
		return err
	}
	if err := w.programs.CRDs(ctx, ""); err != nil {
		return err
	}
	return w.programs.Chart(ctx, chart)
}
