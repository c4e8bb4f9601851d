package podnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
)

const bridgeName = "pods"

// Network is the bridge and the addresses that are given out on it.
type Network struct {
	prefix netip.Prefix
	node   netip.Addr
	bridge *netlink.Bridge

	mu   sync.Mutex
	last netip.Addr // given out last
}

// New sets up the bridge in the network namespace of the caller. The first address of
// the prefix becomes the node's.
func New(prefix netip.Prefix) (*Network, error) {
	node := prefix.Masked().Addr().Next()
	network := &Network{
		prefix: prefix,
		node:   node,
		bridge: &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName, HardwareAddr: bridgeAddress()}},
		last:   node,
	}
	if err := netlink.LinkAdd(network.bridge); err != nil {
		return nil, fmt.Errorf("add bridge %s: %w", bridgeName, err)
	}
	if err := netlink.AddrAdd(network.bridge, network.address(node)); err != nil {
		return nil, fmt.Errorf("add address %s to the bridge: %w", node, err)
	}
	if err := netlink.LinkSetUp(network.bridge); err != nil {
		return nil, fmt.Errorf("bring up the bridge: %w", err)
	}
	// Pods have a default route to the node, which is of no use unless it forwards.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return nil, fmt.Errorf("forward between pods: %w", err)
	}
	return network, nil
}

// bridgeAddress is a hardware address of the bridge's own. A bridge without one takes
// the lowest of its ports', and another when that pod ends: the others would go on
// sending to an address that is gone.
func bridgeAddress() net.HardwareAddr { return net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01} }

// Close removes the bridge. Pods that are still there are cut off.
func (n *Network) Close() error {
	if err := netlink.LinkDel(n.bridge); err != nil {
		return fmt.Errorf("remove bridge %s: %w", bridgeName, err)
	}
	return nil
}

// Node is the address of the node on the network of the pods.
func (n *Network) Node() netip.Addr { return n.node }

// AddLocal makes all addresses of a prefix addresses of the node, so that it can
// listen on them: those of Services.
func AddLocal(prefix netip.Prefix) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback device: %w", err)
	}
	route := &netlink.Route{
		LinkIndex: loopback.Attrs().Index,
		Dst:       ipNet(prefix),
		Type:      routeTypeLocal,
		Table:     routeTableLocal,
		Scope:     netlink.SCOPE_HOST,
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("make %s local: %w", prefix, err)
	}
	return nil
}

// allocate returns an address that was never given out.
func (n *Network) allocate() (netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := n.last.Next()
	if !n.prefix.Contains(next.Next()) { // the very last is for broadcasts
		return netip.Addr{}, errors.New("every address of the pod network was given out")
	}
	n.last = next
	return next, nil
}

func (n *Network) address(address netip.Addr) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: address.AsSlice(), Mask: ipNet(n.prefix).Mask}}
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP:   prefix.Masked().Addr().AsSlice(),
		Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
	}
}
