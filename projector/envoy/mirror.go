package envoy

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/rutter-gateway/rutter/projector/route"
)

// mirrors send copies elsewhere (HTTPRequestMirrorFilter). One whose backend
// cannot be resolved is dropped, as the API asks.
func mirrors(list []route.Mirror) []*routev3.RouteAction_RequestMirrorPolicy {
	var out []*routev3.RouteAction_RequestMirrorPolicy
	for _, m := range list {
		if m.Cluster == "" {
			continue
		}
		out = append(out, &routev3.RouteAction_RequestMirrorPolicy{
			Cluster:         m.Cluster,
			RuntimeFraction: &corev3.RuntimeFractionalPercent{DefaultValue: percent(m)},
			// A copy of the request has the Host of the request.
			DisableShadowHostSuffixAppend: true,
		})
	}
	return out
}

// percent is the share that is mirrored, by the smallest denominator that fits.
// Envoy decides with the same random number that chose the backend, modulo the
// denominator: one that differs from that of [shares] makes the two independent.
func percent(m route.Mirror) *typev3.FractionalPercent {
	if m.Denominator <= 0 {
		return &typev3.FractionalPercent{Numerator: 100}
	}
	n, d := uint64(max(m.Numerator, 0)), uint64(m.Denominator)
	for _, c := range []struct {
		parts uint64
		kind  typev3.FractionalPercent_DenominatorType
	}{{100, typev3.FractionalPercent_HUNDRED}, {10_000, typev3.FractionalPercent_TEN_THOUSAND}} {
		if n*c.parts%d == 0 {
			return &typev3.FractionalPercent{Numerator: uint32(n * c.parts / d), Denominator: c.kind}
		}
	}
	return &typev3.FractionalPercent{Numerator: uint32((n*million + d/2) / d), Denominator: typev3.FractionalPercent_MILLION}
}
