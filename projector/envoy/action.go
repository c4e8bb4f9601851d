package envoy

import (
	"cmp"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previousv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
	"github.com/rutter-gateway/rutter/projector/route"
)

// forward sends a share of a rule's requests to its backends.
func forward(e *route.Entry, s share) *routev3.RouteAction {
	action := &routev3.RouteAction{
		ClusterNotFoundResponseCode: routev3.RouteAction_INTERNAL_SERVER_ERROR,
		RequestMirrorPolicies:       mirrors(s.filters.Mirrors),
	}
	if e.Match.GRPC != nil { // 503 is UNAVAILABLE to a gRPC client
		action.ClusterNotFoundResponseCode = routev3.RouteAction_SERVICE_UNAVAILABLE
	}
	setBackends(action, s)
	setTimeouts(action, e.Rule)
	setRewrite(action, e.Match.Path, s.filters)
	return action
}

// setBackends says where requests go. A rule without any backend, like one whose
// backends are all invalid, answers 500 (HTTPRouteRule.backendRefs).
//
// Envoy applies the header changes of a weighted cluster before those of the
// route, and the API means the reverse. So where a backend has any, each cluster
// gets both, in the right order, and the route none.
func setBackends(action *routev3.RouteAction, s share) {
	switch len(s.backends) {
	case 0:
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: form.Unresolved}
		return
	case 1:
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: cmp.Or(s.backends[0].Cluster, form.Unresolved)}
		return
	}
	merge := changeHeaders(s.backends)
	weighted := &routev3.WeightedCluster{}
	for _, b := range s.backends {
		c := &routev3.WeightedCluster_ClusterWeight{
			Name:   cmp.Or(b.Cluster, form.Unresolved),
			Weight: wrapperspb.UInt32(b.Weight),
		}
		if merge {
			both := override(s.filters, b.Filters)
			c.RequestHeadersToAdd, c.RequestHeadersToRemove = headerChanges(both.RequestHeaders)
			c.ResponseHeadersToAdd, c.ResponseHeadersToRemove = headerChanges(both.ResponseHeaders)
		}
		if host := hostOf(b.Filters.RequestHeaders); host != "" {
			c.HostRewriteSpecifier = &routev3.WeightedCluster_ClusterWeight_HostRewriteLiteral{HostRewriteLiteral: host}
		}
		weighted.Clusters = append(weighted.Clusters, c)
	}
	action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
}

// setTimeouts applies HTTPRouteTimeouts and HTTPRouteRetry. A rule that names no
// request timeout has none, but for [streamIdle].
func setTimeouts(action *routev3.RouteAction, rule *route.Rule) {
	limit := timeout(rule.Timeout)
	attempt := timeout(rule.BackendTimeout)
	if rule.Retry != nil && rule.Retry.Attempts > 0 {
		action.RetryPolicy = retryPolicy(rule.Retry, attempt)
	} else if attempt > 0 && (limit == 0 || attempt < limit) {
		limit = attempt // the one attempt is the whole request
	}
	action.Timeout = durationpb.New(limit)
	if rule.Timeout != nil && (limit == 0 || limit > streamIdle) {
		// A longer wait was asked for than an idle stream is given.
		action.IdleTimeout = durationpb.New(0)
	}
}

// timeout is d, or 0 (none) where it is not set.
func timeout(d *time.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return *d
}

// retryPolicy repeats what the backend did not process: no connection, refused
// stream, reset before the request was sent, gRPC UNAVAILABLE, and the codes that
// the rule names. With a timeout per attempt it repeats attempts that timed out
// too (HTTPRouteRetry.backoff asks for it), which Envoy only does together with
// every other reset: whoever sets both has said that repeating is safe.
func retryPolicy(r *route.Retry, attempt time.Duration) *routev3.RetryPolicy {
	policy := &routev3.RetryPolicy{
		RetryOn:    "connect-failure,refused-stream,reset-before-request,unavailable",
		NumRetries: wrapperspb.UInt32(r.Attempts),
		// Another endpoint has a better chance than the one that just failed.
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name: "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{
				TypedConfig: fixed(&previousv3.PreviousHostsPredicate{}),
			},
		}},
		HostSelectionRetryMaxAttempts: 20, // a choice is random: with 2 endpoints, half of them are in vain
	}
	if len(r.Codes) > 0 {
		policy.RetryOn += ",retriable-status-codes"
		policy.RetriableStatusCodes = r.Codes
	}
	if attempt > 0 {
		policy.RetryOn += ",reset"
		policy.PerTryTimeout = durationpb.New(attempt)
	}
	if r.Backoff != nil && *r.Backoff > 0 {
		policy.RetryBackOff = &routev3.RetryPolicy_RetryBackOff{BaseInterval: durationpb.New(*r.Backoff)}
	}
	return policy
}
