package route

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// ruleSet is the rules of a route, resolved, and what is wrong with them.
type ruleSet struct {
	kind     string // of the route
	owner    string // kind of what refers, where that is no route
	rules    []*Rule
	matches  [][]Match
	valid    int                            // rules that are as their owner wants
	dropped  []string                       // what is wrong with the others
	reason   gatewayv1.RouteConditionReason // for all that is dropped
	resolved problem                        // the first reference that cannot be resolved
	stale    string                         // why the newest form of the route is not in force
	services []events.Key                   // backends that policies are for
}

func resolveRules(r *reader, o *fold.Object, route *gatewayv1.HTTPRouteSpec) *ruleSet {
	s := &ruleSet{kind: httpRoute, stale: o.Problem}
	for i := range route.Rules {
		spec := &route.Rules[i]
		matches, err := newMatches(spec.Matches)
		if err != nil {
			s.add(i, nil, nil, err)
			continue
		}
		rule, err := s.resolveRule(r, o.Key, i, matches[0].Path.Value, spec)
		s.add(i, rule, matches, err)
	}
	return s
}

// add takes up a rule; err is what is wrong with it.
func (s *ruleSet) add(index int, rule *Rule, matches []Match, err error) {
	if err == nil {
		s.valid++
	} else {
		s.drop(index, err)
	}
	if rule != nil {
		s.rules = append(s.rules, rule)
		s.matches = append(s.matches, matches)
	}
}

// drop notes what is wrong with a rule. Rules that are wrong for different reasons have
// the one that says least.
func (s *ruleSet) drop(index int, err error) {
	reason := gatewayv1.RouteReasonUnsupportedValue
	if errors.Is(err, errIncompatible) && (len(s.dropped) == 0 || s.reason == gatewayv1.RouteReasonIncompatibleFilters) {
		reason = gatewayv1.RouteReasonIncompatibleFilters
	}
	s.reason = reason
	s.dropped = append(s.dropped, fmt.Sprintf("%d (%v)", index, err))
}

// invalid is the problem of a route of which no rule is valid.
func (s *ruleSet) invalid() problem {
	if len(s.dropped) > 0 && s.valid == 0 {
		return problem{string(s.reason), "No rule is valid: " + strings.Join(s.dropped, "; ") + "."}
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

// resolveRule makes one rule, all but its matches; prefix is what ReplacePrefixMatch
// replaces. The error says why it is not valid: what it is for must not pass
// without what was asked for, so the rule is then one that answers 500
// (HTTPRouteRule.filters).
func (s *ruleSet) resolveRule(r *reader, route events.Key, index int, prefix string, spec *gatewayv1.HTTPRouteRule) (*Rule, error) {
	rule := &Rule{Route: route, Index: index, Name: or(spec.Name, "")}
	if err := s.fillRule(r, rule, prefix, spec); err != nil {
		return &Rule{Route: rule.Route, Index: rule.Index, Name: rule.Name}, err
	}
	return rule, nil
}

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
		if rule.Filters.Rewrite != nil && backend.Filters.Redirect != nil {
			return errIncompatible
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
		rule.Retry.Attempts = uint32(min(max(0, *spec.Retry.Attempts), math.MaxUint32))
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
