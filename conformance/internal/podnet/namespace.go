package podnet

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	routeTypeLocal  = unix.RTN_LOCAL
	routeTableLocal = unix.RT_TABLE_LOCAL
)

// Namespace is the network of one pod.
type Namespace struct {
	// IP is the address of the pod.
	IP netip.Addr

	handle netns.NsHandle
	veth   string // the end on the bridge
}

// Add makes the network of one more pod. It lives until Close.
func (n *Network) Add() (*Namespace, error) {
	ip, err := n.allocate()
	if err != nil {
		return nil, err
	}
	namespace := &Namespace{IP: ip, handle: netns.None(), veth: fmt.Sprintf("pod%x", ip.As4())}
	if err := onOwnThread(func() (err error) {
		namespace.handle, err = netns.New()
		return err
	}); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	if err := n.connect(namespace); err != nil {
		return nil, errors.Join(fmt.Errorf("connect %s to the bridge: %w", ip, err), namespace.Close())
	}
	return namespace, nil
}

// connect joins the namespace to the bridge, and configures the pod's end.
func (n *Network) connect(namespace *Namespace) error {
	veth := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: namespace.veth, MasterIndex: n.bridge.Index},
		PeerName:      "eth0",
		PeerNamespace: netlink.NsFd(namespace.handle),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("add a pair of devices: %w", err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return fmt.Errorf("bring up %s: %w", veth.Name, err)
	}
	inside, err := netlink.NewHandleAt(namespace.handle)
	if err != nil {
		return fmt.Errorf("enter the namespace: %w", err)
	}
	defer inside.Close()
	for _, name := range []string{"lo", "eth0"} {
		link, err := inside.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s of the pod: %w", name, err)
		}
		if err := inside.LinkSetUp(link); err != nil {
			return fmt.Errorf("bring up %s of the pod: %w", name, err)
		}
		if name == "lo" {
			continue
		}
		if err := inside.AddrAdd(link, n.address(namespace.IP)); err != nil {
			return fmt.Errorf("add the address of the pod: %w", err)
		}
	}
	if err := inside.RouteAdd(&netlink.Route{Gw: n.node.AsSlice()}); err != nil {
		return fmt.Errorf("add the default route of the pod: %w", err)
	}
	return nil
}

// Do calls f on a thread that is in the namespace: sockets that f opens, processes
// that it starts, and what it writes to /proc/sys/net belong to the pod.
func (ns *Namespace) Do(f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(ns.handle); err != nil {
			return fmt.Errorf("enter the network of %s: %w", ns.IP, err)
		}
		return f()
	})
}

// Close removes the namespace, once its last process has ended.
func (ns *Namespace) Close() error {
	var err error
	if link, found := netlink.LinkByName(ns.veth); found == nil {
		err = netlink.LinkDel(link)
	}
	if ns.handle.IsOpen() {
		err = errors.Join(err, ns.handle.Close())
	}
	return err
}

// onOwnThread calls f on a thread that serves no other goroutine. What f does to the
// namespaces of the thread ends with it: the thread is put back where it was, or, if
// that is not possible, thrown away.
func onOwnThread(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // a goroutine that ends locked takes its thread with it
		before, err := netns.Get()
		if err != nil {
			result <- err
			return
		}
		defer before.Close()
		err = f()
		if back := netns.Set(before); back == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}
