package evaluate

import (
	"fmt"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// Outcome is what becomes of a request.
type Outcome string

// The outcomes.
const (
	// Refused: nobody listens on the port.
	Refused Outcome = "refused"
	// Closed: no listener takes the server name, or HTTP is spoken where TLS is.
	Closed Outcome = "closed"
	// Streamed: the connection is forwarded as it is, and no request is seen.
	Streamed Outcome = "streamed"
	// Rewritten: the client is sent to the path with its escaped slashes decoded.
	Rewritten Outcome = "rewritten"
	// NoHost: no virtual host covers the hostname: 404.
	NoHost Outcome = "no host"
	// NoRoute: the virtual host has no route that matches: 404.
	NoRoute Outcome = "no route"
	// Misdirected: another listener answers for the hostname: 421.
	Misdirected Outcome = "misdirected"
	// Routed: by Answer.Route.
	Routed Outcome = "routed"
)

// Answer is what Envoy does with a request.
type Answer struct {
	Outcome Outcome
	// Chain is the Envoy filter chain, the name of a listener in the description.
	Chain string
	// Host is the virtual host, by its hostname; PassedOver are others that cover the
	// name too and are wider.
	Host       string
	PassedOver []string
	// Route is the name of the route; several Envoy routes of one name are one.
	Route string
	// Shares are what becomes of it, by chance.
	Shares []Share
	// Tried are the routes of the host in order: those ahead of Route do not match.
	Tried []Try
}

// Share is a part of the requests like this one.
type Share struct {
	Percent float64
	// Cluster gets it; "" where Envoy answers, with Status, and where the client speaks
	// gRPC with the name of a code of gRPC.
	Cluster string
	Status  int
	GRPC    string
	// Why is set where it is not obvious from the route why Envoy answers.
	Why string
}

// Try is a route that was, or would be, compared.
type Try struct {
	Route string
	// Matches is so for the routes behind the one that is taken, too.
	Matches bool
	Why     string // not
}

const answeredPreflight = "a preflight, answered by the CORS policy"

// Answer evaluates a request. The error is for a configuration that this package
// does not know.
func (c *Config) Answer(r *Request) (*Answer, error) {
	one, listens := c.chain(r)
	switch {
	case !listens:
		return &Answer{Outcome: Refused}, nil
	case one == nil, one.http && one.tls != r.TLS:
		return &Answer{Outcome: Closed}, nil
	case !one.http:
		return &Answer{Outcome: Streamed, Chain: one.name}, nil
	}
	a := &Answer{Chain: one.name}
	if err := c.request(a, one, r); err != nil {
		return nil, err
	}
	if r.grpc() {
		a.toGRPC()
	}
	return a, nil
}

// request answers a request on a chain.
func (c *Config) request(a *Answer, one *chain, r *Request) error {
	path, query := splitTarget(r.Target)
	if one.manager.GetPathWithEscapedSlashesAction() == hcmv3.HttpConnectionManager_UNESCAPE_AND_REDIRECT && unescapeSlashes(path) != path {
		a.Outcome, a.Shares = Rewritten, []Share{{Percent: 100, Status: 307, Why: "a slash in the path is escaped"}}
		if r.grpc() { // a gRPC client is not redirected
			a.Shares[0].Status = 400
		}
		return nil
	}
	path = normalize(path)
	hosts := c.candidates(one, hostname(r.Authority))
	if len(hosts) == 0 {
		a.Outcome, a.Shares = NoHost, []Share{{Percent: 100, Status: 404}}
		return nil
	}
	for _, wider := range hosts[1:] {
		a.PassedOver = append(a.PassedOver, wider.GetName())
	}
	a.Host = hosts[0].GetName()
	return a.route(hosts[0].GetRoutes(), r, path, query)
}

// route takes the first route that matches. Those of one name follow each other, and
// the first of them that matches says what becomes of the next share of the requests.
func (a *Answer) route(routes []*routev3.Route, r *Request, path, query string) error {
	a.Outcome, a.Shares = NoRoute, []Share{{Percent: 100, Status: 404}}
	for entry := range form.Entries(routes) {
		try := Try{Route: entry[0].GetName()}
		var matching []*routev3.Route
		for _, one := range entry {
			why, err := mismatch(one.GetMatch(), r, path, query)
			if err != nil {
				return fmt.Errorf("route %s: %w", try.Route, err)
			}
			if why == "" {
				matching = append(matching, one)
			}
			try.Why = why // the last has the conditions of the rule alone
		}
		try.Matches = len(matching) > 0
		switch {
		case try.Route == form.RouteMisdirected:
			a.Outcome, a.Shares = Misdirected, []Share{{Percent: 100, Status: 421}}
			continue
		case try.Route == form.RouteNoMatch:
			continue
		case try.Matches && a.Route == "":
			try.Why = ""
			a.Outcome, a.Route, a.Shares = Routed, try.Route, nil
			if err := a.share(matching, r); err != nil {
				return fmt.Errorf("route %s: %w", try.Route, err)
			}
		case try.Matches:
			try.Why = "matches too, and comes later"
		}
		a.Tried = append(a.Tried, try)
	}
	return nil
}

// share adds what becomes of the requests that go to routes of one name.
func (a *Answer) share(routes []*routev3.Route, r *Request) error {
	before := 0.0
	for _, one := range routes {
		until := form.Until(one)
		if until <= before {
			continue // an earlier one took them all
		}
		shares, err := actionOf(one, r)
		if err != nil {
			return err
		}
		for _, s := range shares {
			s.Percent = form.Round(s.Percent * (until - before) / 100)
			a.Shares = append(a.Shares, s)
		}
		before = until
	}
	return nil
}

// actionOf is what a route does with a request.
func actionOf(one *routev3.Route, r *Request) ([]Share, error) {
	switch action := one.GetAction().(type) {
	case *routev3.Route_DirectResponse:
		return []Share{{Percent: 100, Status: int(action.DirectResponse.GetStatus())}}, nil
	case *routev3.Route_Redirect:
		return []Share{{Percent: 100, Status: redirectStatus(action.Redirect.GetResponseCode())}}, nil
	case *routev3.Route_Route:
		answered, err := preflight(one, r)
		if answered != nil || err != nil {
			return answered, err
		}
		return forward(action.Route), nil
	}
	return nil, fmt.Errorf("an action that is not known here: %T", one.GetAction())
}

// preflight is the answer of the CORS filter to a preflight of an allowed origin; nil
// where it does not answer.
func preflight(one *routev3.Route, r *Request) ([]Share, error) {
	for _, config := range one.GetTypedPerFilterConfig() { //determinism: at most one is a CORS policy
		policy := &corsv3.CorsPolicy{}
		if !config.MessageIs(policy) || !r.preflight() {
			continue
		}
		if err := config.UnmarshalTo(policy); err != nil {
			return nil, err
		}
		origin, _ := r.values("origin")
		for _, m := range policy.GetAllowOriginStringMatch() {
			ok, _, err := compare(m, origin)
			if err != nil {
				return nil, err
			}
			if ok || proto.Equal(m, anyOrigin) {
				return []Share{{Percent: 100, Status: 200, Why: answeredPreflight}}, nil
			}
		}
	}
	return nil, nil
}

func forward(action *routev3.RouteAction) []Share {
	clusters := action.GetWeightedClusters().GetClusters()
	if len(clusters) == 0 {
		return []Share{toCluster(action, action.GetCluster(), 100)}
	}
	var total float64
	for _, c := range clusters {
		total += float64(c.GetWeight().GetValue())
	}
	var out []Share
	for _, c := range clusters {
		if weight := float64(c.GetWeight().GetValue()); weight > 0 {
			out = append(out, toCluster(action, c.GetName(), 100*weight/total))
		}
	}
	return out
}

func toCluster(action *routev3.RouteAction, name string, percent float64) Share {
	if name != form.Unresolved {
		return Share{Percent: percent, Cluster: name}
	}
	status := 500
	if action.GetClusterNotFoundResponseCode() == routev3.RouteAction_SERVICE_UNAVAILABLE {
		status = 503
	}
	return Share{Percent: percent, Status: status, Why: "the backend cannot be resolved"}
}
