package route

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rutter-gateway/rutter/events"
)

// clusterName is what the name of a cluster says: a port of a Service, and how it
// is reached. Nothing else is in it, so that no change of an object renames the
// clusters of others: a cluster that is renamed loses its connections.
type clusterName struct {
	service events.Key
	port    int32
	suffix  string
	// policy is the BackendTLSPolicy, in the namespace of the Service, by which it is
	// reached over TLS; "" is without.
	policy string
}

// What the name of a cluster says behind the port is how it is reached, which differs
// by the kind of route: HTTP as appProtocol says, HTTP/2 whatever it says, bytes, datagrams.
const (
	suffixHTTP = ""
	suffixGRPC = "/grpc"
	suffixTCP  = "/tcp"
	suffixUDP  = "/udp"
)

func clusterSuffix(kind string) string {
	return map[string]string{httpRoute: suffixHTTP, grpcRoute: suffixGRPC, tlsRoute: suffixTCP, tcpRoute: suffixTCP, udpRoute: suffixUDP}[kind]
}

// String is namespace/service/port, then the suffix, then /tls/policy.
func (c clusterName) String() string {
	name := fmt.Sprintf("%s/%s/%d%s", c.service.Namespace, c.service.Name, c.port, c.suffix)
	if c.policy != "" {
		name += "/tls/" + c.policy
	}
	return name
}

// parseClusterName undoes String.
func parseClusterName(name string) (clusterName, bool) {
	parts := strings.Split(name, "/")
	var c clusterName
	if n := len(parts); n >= 5 && parts[n-2] == "tls" {
		c.policy, parts = parts[n-1], parts[:n-2]
	}
	if len(parts) == 4 {
		c.suffix, parts = "/"+parts[3], parts[:3]
	}
	if len(parts) != 3 || !slices.Contains([]string{suffixHTTP, suffixGRPC, suffixTCP, suffixUDP}, c.suffix) {
		return clusterName{}, false
	}
	port, err := strconv.ParseInt(parts[2], 10, 32)
	c.port = int32(port)
	c.service = events.Key{Resource: events.Services, Namespace: parts[0], Name: parts[1]}
	return c, err == nil
}

func (c clusterName) policyKey() events.Key {
	return events.Key{Resource: events.BackendTLSPolicies, Namespace: c.service.Namespace, Name: c.policy}
}
