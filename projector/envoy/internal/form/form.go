// Package form is what those who write and those who read published routes agree on:
// names, that the routes of one name are one entry, and how shares are said.
package form

import (
	"iter"
	"math"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// Names that no object gives.
const (
	// RouteMisdirected answers 421 on a host, and RouteNoMatch 404 where no entry of it matches.
	RouteMisdirected = "misdirected"
	RouteNoMatch     = "no-match"
	// Unresolved is a cluster that never exists: what is sent there gets 500, or as gRPC
	// UNAVAILABLE. Real clusters have slashes in their names.
	Unresolved = "unresolved"
)

// Entries are the routes of a host by their names, in order: those of one name, which
// follow each other, are one entry.
func Entries(routes []*routev3.Route) iter.Seq[[]*routev3.Route] {
	return func(yield func([]*routev3.Route) bool) {
		for len(routes) > 0 {
			n := 1
			for n < len(routes) && routes[n].GetName() == routes[0].GetName() {
				n++
			}
			if !yield(routes[:n]) {
				return
			}
			routes = routes[n:]
		}
	}
}

// Until is the part of the requests, in percent, that end at this route of an entry or
// at one ahead of it.
func Until(r *routev3.Route) float64 {
	f := r.GetMatch().GetRuntimeFraction()
	if f == nil {
		return 100
	}
	return Percent(f.GetDefaultValue())
}

// Percent is a fraction in percent.
func Percent(f *typev3.FractionalPercent) float64 {
	denominator := map[typev3.FractionalPercent_DenominatorType]float64{
		typev3.FractionalPercent_HUNDRED: 100, typev3.FractionalPercent_TEN_THOUSAND: 1e4, typev3.FractionalPercent_MILLION: 1e6,
	}[f.GetDenominator()]
	return Round(float64(f.GetNumerator()) * 100 / denominator)
}

// Round keeps what the largest denominator can say.
func Round(percent float64) float64 { return math.Round(percent*1e4) / 1e4 }
