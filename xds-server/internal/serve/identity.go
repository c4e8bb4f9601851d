package serve

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/rutter-gateway/rutter/internal/pki"
)

// checkIdentity refuses an Envoy that asks for what is not its Gateway's: among it
// are that Gateway's private keys. A connection without TLS is from this machine.
func checkIdentity(ctx context.Context, gateway string) error {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil
	}
	named := []string{}
	if len(info.State.VerifiedChains) > 0 {
		for _, uri := range info.State.VerifiedChains[0][0].URIs {
			if of, ok := pki.GatewayOf(uri); ok && of == gateway {
				return nil
			}
			named = append(named, uri.String())
		}
	}
	return status.Errorf(codes.PermissionDenied, "node.cluster is %q, for which the client certificate must name %s; it names [%s]",
		gateway, pki.GatewayURI(gateway), strings.Join(named, ", "))
}
