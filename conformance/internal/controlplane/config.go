package controlplane

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

// Config says where things are and which addresses are used.
type Config struct {
	// Binaries is a directory with etcd, kube-apiserver and kube-controller-manager.
	Binaries string
	// State is an empty directory for certificates and the data of etcd.
	State string
	// Logs is a directory for what the processes print.
	Logs string
	// Node is the address under which pods and kubelet reach this machine.
	Node netip.Addr
	// Services is where ClusterIPs are taken from. The first address is the API
	// server's own Service.
	Services netip.Prefix
	// Outside is one more address under which the API server is called, with whatever
	// is in front of it.
	Outside netip.Addr
	Logger  *slog.Logger
}

const (
	apiPort = 6443
	// startLimit is how long a process may take until it is ready, on a slow machine.
	startLimit = 90 * time.Second
	// stopLimit is how long it may take to end, before it is killed.
	stopLimit = 10 * time.Second
)

func (c *Config) validate() error {
	switch {
	case c.Binaries == "" || c.State == "" || c.Logs == "":
		return errors.New("the directories of binaries, state and logs are needed")
	case !c.Node.IsValid() || !c.Services.IsValid() || !c.Outside.IsValid():
		return errors.New("the addresses of node, Services and outside are needed")
	case c.Logger == nil:
		return errors.New("a logger is needed")
	}
	return nil
}
