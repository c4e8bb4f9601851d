package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/conformance/internal/controlplane"
	"github.com/rutter-gateway/rutter/conformance/internal/dns"
	"github.com/rutter-gateway/rutter/conformance/internal/endpoints"
	"github.com/rutter-gateway/rutter/conformance/internal/isolation"
	"github.com/rutter-gateway/rutter/conformance/internal/kubelet"
	"github.com/rutter-gateway/rutter/conformance/internal/podnet"
	"github.com/rutter-gateway/rutter/conformance/internal/sandbox"
	"github.com/rutter-gateway/rutter/conformance/internal/services"
)

// Main runs a program in namespaces of its own and returns its exit code. It must be
// the first thing that the program's main does, or TestMain.
func Main(program func() int) int { return isolation.Run(program) }

// Cluster is a running cluster.
type Cluster struct {
	// Client has all rights. It may be used with any client library.
	Client *rest.Config
	// Kubeconfig is a file for programs in the namespaces of the cluster.
	Kubeconfig string
	// OutsideKubeconfig is a file for programs on the machine, or empty.
	OutsideKubeconfig string
	// Logs is the directory with what pods and control plane have printed.
	Logs string
	// ControlPlane are the processes of the control plane, for tests of what happens
	// without one of them.
	ControlPlane *controlplane.ControlPlane

	cfg     Config
	network *podnet.Network
	kubelet *kubelet.Kubelet
	cancel  context.CancelFunc
	running sync.WaitGroup
	lock    *os.File

	mu   sync.Mutex
	errs []error // of what has run
}

// Start brings up a cluster, and returns when pods can be created in it.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	// The cluster lives until Stop, not until the context of its start ends.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &Cluster{cfg: cfg, cancel: cancel, Logs: filepath.Join(cfg.Dir, "logs")}
	if err := c.start(ctx, running); err != nil {
		return nil, errors.Join(fmt.Errorf("cluster: %w", err), c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx, running context.Context) error {
	if err := c.makeDirectories(); err != nil {
		return err
	}
	if err := allowWatches(); err != nil {
		return err
	}
	network, err := podnet.New(pods)
	if err != nil {
		return fmt.Errorf("network of pods: %w", err)
	}
	c.network = network
	for _, prefix := range []netip.Prefix{clusterIPs, loadBalancers} {
		if err := podnet.AddLocal(prefix); err != nil {
			return err
		}
	}
	if err := c.startControlPlane(ctx, network.Node()); err != nil {
		return err
	}
	own := rest.CopyConfig(c.Client)
	own.ContentType = runtime.ContentTypeProtobuf // what a node does should cost others little
	own.Wrap(newPatient)
	clients, err := kubernetes.NewForConfig(own)
	if err != nil {
		return err
	}
	if err := reserveResolver(ctx, clients); err != nil {
		return fmt.Errorf("service of DNS: %w", err)
	}
	factory := informers.NewSharedInformerFactory(clients, 0)
	if err := c.startServices(running, clients, factory); err != nil {
		return err
	}
	if err := c.startKubelet(running, clients, factory, network); err != nil {
		return err
	}
	factory.StartWithContext(running)
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("list %s: %w", kind, context.Cause(ctx))
		}
	}
	return nil
}

func (c *Cluster) startControlPlane(ctx context.Context, node netip.Addr) error {
	outside := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	plane, err := controlplane.Start(ctx, controlplane.Config{
		Binaries: filepath.Join(c.cfg.Bin, "k8s"), State: c.state(), Logs: c.Logs,
		Node: node, Services: clusterIPs, Outside: outside, Logger: c.cfg.Logger,
	})
	if err != nil {
		return err
	}
	c.ControlPlane, c.Client = plane, plane.Client()
	c.Kubeconfig = filepath.Join(c.state(), "kubeconfig")
	if c.cfg.Outside == nil {
		return nil
	}
	address, err := netip.ParseAddrPort(c.cfg.Outside.Addr().String())
	if err != nil {
		return fmt.Errorf("address of the outside listener: %w", err)
	}
	c.OutsideKubeconfig = filepath.Join(c.cfg.Dir, "kubeconfig")
	if err := plane.WriteKubeconfig(c.OutsideKubeconfig, address); err != nil {
		return err
	}
	c.running.Go(func() { forward(c.cfg.Outside, plane.Address()) })
	return nil
}

func (c *Cluster) startServices(running context.Context, clients kubernetes.Interface, factory informers.SharedInformerFactory) error {
	index, err := endpoints.New(factory)
	if err != nil {
		return err
	}
	proxy, err := services.New(services.Config{
		Client: clients, Informers: factory, Endpoints: index, LoadBalancers: loadBalancers, Logger: c.cfg.Logger,
	})
	if err != nil {
		return err
	}
	names, err := dns.New(netip.AddrPortFrom(resolver, 53), factory.Core().V1().Services().Lister(), index)
	if err != nil {
		return err
	}
	c.run(func() error { return proxy.Run(running) })
	c.run(func() error { return names.Run(running) })
	return nil
}

func (c *Cluster) startKubelet(running context.Context, clients kubernetes.Interface, factory informers.SharedInformerFactory, network *podnet.Network) error {
	certificate, key, authority := c.ControlPlane.KubeletCertificate()
	node, err := kubelet.New(kubelet.Config{
		Client: clients, Informers: factory, NodeName: nodeName, Network: network,
		Runner:   &sandbox.Runner{Program: c.cfg.program("container"), Scratch: filepath.Join(c.state(), "root")},
		Image:    c.cfg.image,
		State:    c.state(),
		Logs:     c.Logs,
		Resolver: resolver, Certificate: certificate, Key: key, Authority: authority,
		Logger: c.cfg.Logger,
	})
	if err != nil {
		return err
	}
	c.kubelet = node
	c.run(func() error { return node.Run(running) })
	return nil
}

// Process is the program of a running container, with its number: a test can look at
// its memory, or kill it.
type Process = kubelet.Process

// Processes are the programs that run in pods now.
func (c *Cluster) Processes() []Process { return c.kubelet.Processes() }

// run runs a part of the cluster until Stop, which then says how it went.
func (c *Cluster) run(part func() error) {
	c.running.Go(func() {
		if err := part(); err != nil {
			c.cfg.Logger.Error("a part of the cluster ended", "error", err)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.errs = append(c.errs, err)
		}
	})
}

// Stop ends all pods at once, and then the control plane. What stays is the logs.
func (c *Cluster) Stop() error {
	c.cancel()
	if c.cfg.Outside != nil {
		c.cfg.Outside.Close()
	}
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := c.errs
	if c.ControlPlane != nil {
		errs = append(errs, c.ControlPlane.Stop())
	}
	if c.network != nil {
		errs = append(errs, c.network.Close())
	}
	if c.lock != nil {
		errs = append(errs, os.RemoveAll(c.state()), c.lock.Close())
	}
	if c.OutsideKubeconfig != "" {
		errs = append(errs, os.Remove(c.OutsideKubeconfig))
	}
	return errors.Join(errs...)
}

// reserveResolver makes the Service of the DNS server, so that no other one is given
// its address.
func reserveResolver(ctx context.Context, clients kubernetes.Interface) error {
	deadline, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := clients.CoreV1().Services(metav1.NamespaceSystem).Create(deadline, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "kube-dns"},
		Spec: corev1.ServiceSpec{ClusterIP: resolver.String(), Ports: []corev1.ServicePort{
			{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", Port: 53, Protocol: corev1.ProtocolTCP},
		}},
	}, metav1.CreateOptions{})
	return err
}
