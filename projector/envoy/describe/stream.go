package describe

import (
	"errors"
	"fmt"

	matcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	udpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/udp/udp_proxy/v3"
	fractionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/matching/input_matchers/runtime_fraction/v3"

	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// AllConnections is the match of a rule that takes all that arrives for its host.
const AllConnections = "all connections"

// closed is what becomes of a connection for a backend that cannot be resolved.
const closed = "closed"

// addStream reads the filter chain of one hostname.
func (g *Gateway) addStream(listener, hostname string, chain *listenerv3.FilterChain) error {
	if len(chain.GetFilters()) != 1 {
		return errors.New("it has not one filter")
	}
	proxy := &tcpv3.TcpProxy{}
	if err := chain.GetFilters()[0].GetTypedConfig().UnmarshalTo(proxy); err != nil {
		return err
	}
	var list []Backend
	if weighted := proxy.GetWeightedClusters().GetClusters(); len(weighted) > 0 {
		var total float64
		for _, c := range weighted {
			total += float64(c.GetWeight())
		}
		for _, c := range weighted {
			list = append(list, streamBackend(c.GetName(), form.Round(100*float64(c.GetWeight())/total)))
		}
	} else {
		list = []Backend{streamBackend(proxy.GetCluster(), 100)}
	}
	return g.addForwarding(listener, hostname, proxy.GetStatPrefix(), list)
}

// addDatagrams reads a UDP port.
func (g *Gateway) addDatagrams(l *listenerv3.Listener, port uint32) error {
	if len(l.GetListenerFilters()) != 1 {
		return errors.New("it has not one listener filter")
	}
	proxy := &udpv3.UdpProxyConfig{}
	if err := l.GetListenerFilters()[0].GetTypedConfig().UnmarshalTo(proxy); err != nil {
		return err
	}
	g.Listeners = append(g.Listeners, Listener{Name: l.GetName(), Port: port})
	var list []Backend
	before := 0.0
	for _, m := range proxy.GetMatcher().GetMatcherList().GetMatchers() {
		share := &fractionv3.RuntimeFraction{}
		if err := m.GetPredicate().GetSinglePredicate().GetCustomMatch().GetTypedConfig().UnmarshalTo(share); err != nil {
			return err
		}
		until := form.Percent(share.GetRuntimeFraction().GetDefaultValue())
		b, err := sessionBackend(m.GetOnMatch(), form.Round(until-before))
		if err != nil {
			return err
		}
		list, before = append(list, b), until
	}
	rest, err := sessionBackend(proxy.GetMatcher().GetOnNoMatch(), form.Round(100-before))
	if err != nil {
		return err
	}
	return g.addForwarding(l.GetName(), "*", proxy.GetStatPrefix(), append(list, rest))
}

func sessionBackend(to *matcherv3.Matcher_OnMatch, share float64) (Backend, error) {
	r := &udpv3.Route{}
	if err := to.GetAction().GetTypedConfig().UnmarshalTo(r); err != nil {
		return Backend{}, err
	}
	return streamBackend(r.GetCluster(), share), nil
}

func (g *Gateway) addForwarding(listener, hostname, entry string, list []Backend) error {
	rule, err := named(entry)
	if err != nil {
		return fmt.Errorf("host %s: %w", hostname, err)
	}
	rule.Match, rule.Backends = AllConnections, list
	g.Hosts = append(g.Hosts, Host{Listener: listener, Hostname: hostname, Rules: []Rule{rule}})
	return nil
}

func streamBackend(cluster string, percent float64) Backend {
	if cluster == form.Unresolved {
		return Backend{Percent: percent, Invalid: true, Answer: closed}
	}
	return Backend{Name: cluster, Percent: percent}
}
