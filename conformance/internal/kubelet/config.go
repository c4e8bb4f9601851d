package kubelet

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"github.com/rutter-gateway/rutter/conformance/internal/podnet"
	"github.com/rutter-gateway/rutter/conformance/internal/sandbox"
)

// Config says where the kubelet works, and with what.
type Config struct {
	Client    kubernetes.Interface
	Informers informers.SharedInformerFactory
	// NodeName is the node that is registered.
	NodeName string
	Network  *podnet.Network
	Runner   *sandbox.Runner
	// Image finds the program behind the name of an image.
	Image func(name string) (Image, error)
	// State is a directory for volumes, Logs one for what containers print: a file per
	// start of a container, as NAMESPACE_POD_CONTAINER_N.log.
	State, Logs string
	// Resolver is the DNS server of pods.
	Resolver netip.Addr
	// Certificate, Key and Authority are files: with what the kubelet serves, and who
	// signed the certificates of those that may ask.
	Certificate, Key, Authority string
	Logger                      *slog.Logger
}

// Image is a program that stands for an image.
type Image struct {
	// Program is a file of this machine.
	Program string
	// Path is where the image has it.
	Path string
	// Entrypoint is what runs when a container names no command.
	Entrypoint []string
	// UID is the user of the image.
	UID int
	// Libraries are what else of this machine the image has, under the same paths: what a
	// program needs that is linked dynamically.
	Libraries []string
}

const (
	// Port is where the API server asks for logs.
	Port = 10250

	// retryWait is how long the kubelet waits before it looks again for something that
	// a pod needs and that is not there.
	retryWait = 200 * time.Millisecond
	// restartWait is the pause before a container is started once more; it doubles up
	// to maxRestartWait, and starts anew when the container has run for stableAfter. The
	// first restart is immediate. A kubelet's own times are ten times as long; here
	// clusters live for minutes.
	restartWait    = time.Second
	maxRestartWait = 30 * time.Second
	stableAfter    = time.Minute
)

func (c *Config) validate() error {
	switch {
	case c.Client == nil || c.Informers == nil:
		return errors.New("a client and informers are needed")
	case c.NodeName == "" || c.Network == nil || c.Runner == nil || c.Image == nil:
		return errors.New("a node name, a network, a runner and images are needed")
	case c.State == "" || c.Logs == "":
		return errors.New("the directories of state and logs are needed")
	case c.Certificate == "" || c.Key == "" || c.Authority == "":
		return errors.New("a certificate to serve with is needed")
	case !c.Resolver.IsValid():
		return errors.New("a DNS server is needed")
	case c.Logger == nil:
		return errors.New("a logger is needed")
	}
	return nil
}
