package route

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// infrastructureOf is what the Envoys of an accepted Gateway need around them. It
// depends on no listener being valid: a Gateway keeps its Service, and with it its
// address, while its owner mends a listener.
func infrastructureOf(o *fold.Object, gw *gatewayv1.Gateway, want []request, settings events.Settings) *routing.Infrastructure {
	out := &routing.Infrastructure{
		Name: infrastructureName(o.Key.Name, string(gw.Spec.GatewayClassName)), UID: o.UID, Generation: o.Generation,
		Class: string(gw.Spec.GatewayClassName), Addresses: askedFor(want, false), ClusterAddresses: askedFor(want, true), Internal: onlyInside(want), DualStack: strings.Contains(settings.ListenAddress, ":"),
	}
	for i := range gw.Spec.Listeners {
		out.Ports = append(out.Ports, portOf(gw.Spec.Listeners[i].Port, gw.Spec.Listeners[i].Protocol))
	}
	sortCompact(&out.Ports, comparePorts)
	if spec := gw.Spec.Infrastructure; spec != nil {
		out.Labels, out.Annotations = plain(spec.Labels), plain(spec.Annotations)
	}
	return out
}

func portOf(port int32, protocol gatewayv1.ProtocolType) routing.InfrastructurePort {
	out := routing.InfrastructurePort{Port: port, Protocol: "TCP"}
	if protocol == gatewayv1.UDPProtocolType {
		out.Protocol = "UDP"
	}
	return out
}

func comparePorts(a, b routing.InfrastructurePort) int {
	return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
}

// withPorts adds the ports of ListenerSets, valid or not as well.
func withPorts(own *routing.Infrastructure, sets [][]*listener) *routing.Infrastructure {
	if own == nil {
		return nil
	}
	out := new(*own)
	out.Ports = slices.Clone(own.Ports)
	for _, listeners := range sets {
		for _, l := range listeners {
			out.Ports = append(out.Ports, portOf(l.port, l.protocol))
		}
	}
	sortCompact(&out.Ports, comparePorts)
	return out
}

func plain[K, V ~string](in map[K]V) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in { //determinism: into a map
		out[string(k)] = string(v)
	}
	return out
}

// maxName is how long the name of a Service may be.
const maxName = 63

// infrastructureName is <gateway>-<class> (GEP-1762) where a Service can have that
// name. A longer one, or one with what such a name cannot have, is cut and told
// apart by a hash.
func infrastructureName(gateway, class string) string {
	whole := gateway + "-" + class
	name := strings.ReplaceAll(whole, ".", "-")
	if name[0] < 'a' || name[0] > 'z' {
		name = "gw-" + name
	}
	if name == whole && len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(whole))
	hash := "-" + hex.EncodeToString(sum[:4])
	return strings.TrimRight(name[:min(len(name), maxName-len(hash))], "-") + hash
}
