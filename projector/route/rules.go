package route

import (
	"errors"
	"fmt"
	"strings"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// ruleSet is the rules of a route, resolved, and what is wrong with them.
type ruleSet struct {
	rules    []*Rule
	matches  [][]Match
	valid    int      // rules that are as their owner wants
	dropped  []string // what is wrong with the others
	resolved problem  // the first reference that cannot be resolved
	stale    string   // why the newest form of the route is not in force
}

func resolveRules(r *reader, o *fold.Object, hr *gatewayv1.HTTPRoute) *ruleSet {
	s := &ruleSet{stale: o.Problem}
	for i := range hr.Spec.Rules {
		spec := &hr.Spec.Rules[i]
		rule, matches, err := s.resolveRule(r, o.Key, i, spec)
		if err == nil {
			s.valid++
		} else {
			s.dropped = append(s.dropped, fmt.Sprintf("%d (%v)", i, err))
		}
		if rule != nil {
			s.rules = append(s.rules, rule)
			s.matches = append(s.matches, matches)
		}
	}
	return s
}

// invalid is the problem of a route of which no rule is valid.
func (s *ruleSet) invalid() problem {
	if len(s.dropped) > 0 && s.valid == 0 {
		return problem{string(gatewayv1.RouteReasonUnsupportedValue), "No rule is valid: " + strings.Join(s.dropped, "; ") + "."}
	}
	return problem{}
}

// conditions are those of one parent, which refused the route for p, if at all.
func (s *ruleSet) conditions(p problem) []routing.Condition {
	conditions := []routing.Condition{
		p.condition(string(gatewayv1.RouteConditionAccepted), string(gatewayv1.RouteReasonAccepted), "The route is accepted."),
		s.resolved.condition(string(gatewayv1.RouteConditionResolvedRefs), string(gatewayv1.RouteReasonResolvedRefs), "All references are resolved."),
	}
	if !p.ok() {
		return conditions
	}
	var partial string
	switch {
	case s.stale != "":
		partial = "Fall Back to the last good version of the route: " + s.stale + "."
	case len(s.dropped) > 0:
		partial = "Dropped Rule " + strings.Join(s.dropped, "; ") + "."
	default:
		return conditions
	}
	return append(conditions, condition(string(gatewayv1.RouteConditionPartiallyInvalid), true, string(gatewayv1.RouteReasonUnsupportedValue), partial))
}

// resolveRule makes one rule; the error says why it is not valid. The rule is then
// nil, unless it is known which requests it is for: those must not pass without
// what was asked for, and get 500 (HTTPRouteRule.filters).
func (s *ruleSet) resolveRule(r *reader, route events.Key, index int, spec *gatewayv1.HTTPRouteRule) (*Rule, []Match, error) {
	matches, err := newMatches(spec.Matches)
	if err != nil {
		return nil, nil, err
	}
	rule := &Rule{Route: route, Index: index}
	if spec.Name != nil {
		rule.Name = string(*spec.Name)
	}
	if err := s.fillRule(r, rule, matches[0].Path.Value, spec); err != nil {
		return &Rule{Route: rule.Route, Index: rule.Index, Name: rule.Name}, matches, err
	}
	return rule, matches, nil
}

// fillRule resolves all but the matches; prefix is what ReplacePrefixMatch replaces.
func (s *ruleSet) fillRule(r *reader, rule *Rule, prefix string, spec *gatewayv1.HTTPRouteRule) error {
	var err error
	if rule.Filters, err = s.newFilters(r, rule.Route, prefix, spec.Filters); err != nil {
		return err
	}
	if spec.SessionPersistence != nil {
		return errors.New("sessionPersistence is not supported")
	}
	if err := setTimeouts(rule, spec); err != nil {
		return err
	}
	for i := range spec.BackendRefs {
		backend, err := s.newBackend(r, rule.Route, prefix, &spec.BackendRefs[i])
		if err != nil {
			return err
		}
		if backend.Weight > 0 {
			rule.Backends = append(rule.Backends, backend)
		}
	}
	return nil
}

func setTimeouts(rule *Rule, spec *gatewayv1.HTTPRouteRule) error {
	var err error
	if t := spec.Timeouts; t != nil {
		if rule.Timeout, err = duration("timeouts.request", t.Request); err != nil {
			return err
		}
		if rule.BackendTimeout, err = duration("timeouts.backendRequest", t.BackendRequest); err != nil {
			return err
		}
	}
	if spec.Retry == nil {
		return nil
	}
	rule.Retry = &Retry{Attempts: 1}
	if spec.Retry.Attempts != nil {
		rule.Retry.Attempts = uint32(max(0, *spec.Retry.Attempts))
	}
	for _, code := range spec.Retry.Codes {
		rule.Retry.Codes = append(rule.Retry.Codes, uint32(code))
	}
	rule.Retry.Backoff, err = duration("retry.backoff", spec.Retry.Backoff)
	return err
}

// duration reads a Gateway API duration (GEP-2257), a subset of Go's.
func duration(field string, d *gatewayv1.Duration) (*time.Duration, error) {
	if d == nil {
		return nil, nil
	}
	v, err := time.ParseDuration(string(*d))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return &v, nil
}
