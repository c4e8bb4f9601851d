package evaluate

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// anyOrigin is what Envoy's CORS filter takes for every origin.
var anyOrigin = &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "*"}}

func redirectStatus(code routev3.RedirectAction_RedirectResponseCode) int {
	return map[routev3.RedirectAction_RedirectResponseCode]int{
		routev3.RedirectAction_MOVED_PERMANENTLY:  301,
		routev3.RedirectAction_FOUND:              302,
		routev3.RedirectAction_SEE_OTHER:          303,
		routev3.RedirectAction_TEMPORARY_REDIRECT: 307,
		routev3.RedirectAction_PERMANENT_REDIRECT: 308,
	}[code]
}

// toGRPC says the answers of Envoy as a client of gRPC gets them: under HTTP 200, but
// for that of the CORS filter.
func (a *Answer) toGRPC() {
	for i := range a.Shares {
		if s := &a.Shares[i]; s.Cluster == "" && s.Why != answeredPreflight {
			s.Status, s.GRPC = 200, grpcCode(s.Status)
		}
	}
}

// grpcCode is the code for a status of HTTP, as Envoy has it ("HTTP to gRPC Status Code
// Mapping" of gRPC).
func grpcCode(status int) string {
	switch status {
	case 200:
		return "OK"
	case 400:
		return "INTERNAL"
	case 401:
		return "UNAUTHENTICATED"
	case 403:
		return "PERMISSION_DENIED"
	case 404:
		return "UNIMPLEMENTED"
	case 429, 502, 503, 504:
		return "UNAVAILABLE"
	}
	return "UNKNOWN"
}
