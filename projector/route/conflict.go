package route

import (
	"fmt"
	"strconv"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
)

// spot is where a listener stands on a Gateway. Two on one spot are not distinct
// (GatewaySpec.listeners, "Distinct Listeners").
type spot struct {
	port     int32
	over     transport
	hostname string
}

func (l *listener) spot() spot { return spot{l.port, transportOf(l.protocol), l.hostname} }

func spotOf(gateway string, s spot) node {
	return node{spotNode, gateway, strconv.Itoa(int(s.port)) + "/" + string(s.over), s.hostname}
}

// claims are the spots that the objects of a Gateway have taken so far, in the order
// of their precedence (ListenerSetSpec.listeners).
type claims struct {
	ports map[claimedPort][]transport
	spots map[spot]claim
}

type claimedPort struct {
	port int32
	udp  bool
}

type claim struct {
	by       events.Key
	listener *listener
}

func newClaims() *claims {
	return &claims{ports: map[claimedPort][]transport{}, spots: map[spot]claim{}}
}

// add takes spots for the listeners of an object. What an object ahead of it has taken
// stays with that one; a listener that finds it so conflicts and takes nothing. Among
// the rest of one object nobody wins, but what they dispute is taken: a younger object
// must not come by the hostnames of an older one through a mistake there.
func (c *claims) add(object events.Key, listeners []*listener) {
	var rest []*listener
	for _, l := range listeners {
		if transportOf(l.protocol) == "" {
			continue
		}
		if l.conflict = c.conflict(l); l.conflict.ok() {
			rest = append(rest, l)
		}
	}
	findConflicts(rest)
	for _, l := range rest {
		c.spots[l.spot()] = claim{object, l}
		port := l.claimedPort()
		c.ports[port] = appendNew(c.ports[port], transportOf(l.protocol))
	}
}

func (l *listener) claimedPort() claimedPort {
	return claimedPort{l.port, transportOf(l.protocol) == plainUDP}
}

// conflict is why a listener cannot have its spot. It names no listener of the other
// object, which may be another tenant's.
func (c *claims) conflict(l *listener) problem {
	const who = "The Gateway, or a ListenerSet that takes precedence,"
	for _, over := range c.ports[l.claimedPort()] {
		if over != transportOf(l.protocol) {
			return problem{string(gatewayv1.ListenerReasonProtocolConflict), fmt.Sprintf("%s uses port %d with a different protocol.", who, l.port)}
		}
	}
	taken, ok := c.spots[l.spot()]
	switch {
	case !ok:
		return problem{}
	case taken.listener.protocol != l.protocol:
		return problem{string(gatewayv1.ListenerReasonProtocolConflict), fmt.Sprintf("%s has a listener with the same port %d and hostname, and a different protocol.", who, l.port)}
	default:
		return problem{string(gatewayv1.ListenerReasonHostnameConflict), fmt.Sprintf("%s has a listener with the same port %d and hostname.", who, l.port)}
	}
}

// findOverlaps tells HTTPS listeners that those of other objects overlap with them.
func (c *claims) findOverlaps() {
	for at, narrow := range c.spots { //determinism: sets flags, in any order
		if at.over != overTLS {
			continue
		}
		for _, pattern := range covering(at.hostname)[1:] {
			if wide, ok := c.spots[spot{at.port, overTLS, pattern}]; ok && wide.by != narrow.by {
				for _, l := range []*listener{wide.listener, narrow.listener} {
					l.overlapsOthers = l.overlapsOthers || l.protocol == gatewayv1.HTTPSProtocolType
				}
			}
		}
	}
}
