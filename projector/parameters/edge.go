package parameters

import (
	"fmt"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
)

// Edge overrides how clients are treated; nil and "" keep what is usual.
type Edge struct {
	TrustedHops                                                   uint32
	IdleTimeout, StreamIdleTimeout, RequestHeadersTimeout         *time.Duration
	MaxConcurrentStreams, MaxRequestHeaders, MaxRequestHeadersKiB *uint32
	EscapedSlashes                                                v1alpha1.EscapedSlashes
	HeadersWithUnderscores                                        v1alpha1.Underscores
}

func newEdge(spec *v1alpha1.Edge) (e Edge, why string) {
	if spec == nil {
		return e, ""
	}
	number := func(n *int32) *uint32 {
		if n == nil {
			return nil
		}
		return new(uint32(*n))
	}
	if hops := number(spec.TrustedHops); hops != nil {
		e.TrustedHops = *hops
	}
	e.MaxConcurrentStreams, e.MaxRequestHeaders, e.MaxRequestHeadersKiB = number(spec.MaxConcurrentStreams), number(spec.MaxRequestHeaders), number(spec.MaxRequestHeadersKiB)
	e.EscapedSlashes, e.HeadersWithUnderscores = spec.EscapedSlashes, spec.HeadersWithUnderscores
	for _, d := range []struct {
		name string
		from *gatewayv1.Duration
		to   **time.Duration
	}{
		{"edge.idleTimeout", spec.IdleTimeout, &e.IdleTimeout}, {"edge.streamIdleTimeout", spec.StreamIdleTimeout, &e.StreamIdleTimeout},
		{"edge.requestHeadersTimeout", spec.RequestHeadersTimeout, &e.RequestHeadersTimeout},
	} {
		if d.from == nil {
			continue
		}
		v, err := time.ParseDuration(string(*d.from)) // GEP-2257, a subset of Go's
		if err != nil {
			return e, fmt.Sprintf("%s: %v.", d.name, err)
		}
		*d.to = &v
	}
	return e, ""
}
