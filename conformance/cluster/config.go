package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/rutter-gateway/rutter/conformance/internal/kubelet"
)

// Config says where the cluster is and what runs in it.
type Config struct {
	// Dir is where the cluster keeps its files: kubeconfig and logs/, which stay, and
	// state/, which does not. Two clusters cannot share one.
	Dir string
	// Bin is the directory of built programs: k8s/ with those of the cluster, and those
	// that images stand for.
	Bin string
	// Images are the programs that can run in pods, by the last part of the image's
	// name without its tag.
	Images map[string]Image
	// Outside forwards to the API server, for clients that are not in the namespaces of
	// the cluster. Nil forwards nothing, and the kubeconfig is for use inside.
	Outside net.Listener
	Logger  *slog.Logger
}

// Image is a program that stands for an image.
type Image = kubelet.Image

// The addresses of a cluster. They exist in its namespaces alone.
var (
	pods          = netip.MustParsePrefix("10.244.0.0/16")
	clusterIPs    = netip.MustParsePrefix("10.96.0.0/16")
	loadBalancers = netip.MustParsePrefix("10.97.0.0/16")
	resolver      = netip.MustParseAddr("10.96.0.10")
	// UsableAddress can be asked for by a Service of type LoadBalancer.
	UsableAddress = netip.MustParseAddr("10.97.200.1")
)

const nodeName = "node"

func (c *Config) validate() error {
	switch {
	case c.Dir == "" || c.Bin == "":
		return errors.New("the directories of files and programs are needed")
	case c.Logger == nil:
		return errors.New("a logger is needed")
	}
	for _, program := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "container"} {
		if _, err := os.Stat(c.program(program)); err != nil {
			return fmt.Errorf("%w (`make -C conformance programs` builds it)", err)
		}
	}
	return nil
}

func (c *Config) program(name string) string { return filepath.Join(c.Bin, "k8s", name) }
