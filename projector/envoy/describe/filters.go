package describe

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/rutter-gateway/rutter/projector/envoy/internal/form"
)

// filters says what a route does to requests and answers, besides where it sends them.
func filters(r *routev3.Route) ([]string, error) {
	out := headerChanges("header", r.GetRequestHeadersToAdd(), r.GetRequestHeadersToRemove())
	out = append(out, headerChanges("response header", r.GetResponseHeadersToAdd(), r.GetResponseHeadersToRemove())...)
	if redirect := r.GetRedirect(); redirect != nil {
		out = append(out, redirectTo(redirect))
	}
	if action := r.GetRoute(); action != nil {
		out = append(out, rewrites(action)...)
		for _, m := range action.GetRequestMirrorPolicies() {
			out = append(out, "mirror to "+Backend{Name: m.GetCluster(), Percent: form.Percent(m.GetRuntimeFraction().GetDefaultValue())}.String())
		}
		out = append(out, limits(action)...)
	}
	if config := r.GetTypedPerFilterConfig()["envoy.filters.http.cors"]; config != nil {
		policy, err := cors(config)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.GetName(), err)
		}
		out = append(out, policy)
	}
	if config := r.GetTypedPerFilterConfig()["envoy.filters.http.rbac"]; config != nil {
		only := &rbacv3.RBACPerRoute{}
		if err := config.UnmarshalTo(only); err != nil {
			return nil, fmt.Errorf("route %s: tenant: %w", r.GetName(), err)
		}
		for _, tenant := range slices.Sorted(maps.Keys(only.GetRbac().GetRules().GetPolicies())) {
			out = append(out, "only tenant "+tenant)
		}
	}
	return out, nil
}

func headerChanges(what string, change []*corev3.HeaderValueOption, remove []string) []string {
	var out []string
	for _, h := range change {
		verb := "add"
		if h.GetAppendAction() == corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
			verb = "set"
		}
		out = append(out, verb+" "+what+" "+h.GetHeader().GetKey()+": "+literal(h.GetHeader().GetValue()))
	}
	for _, name := range remove {
		out = append(out, "remove "+what+" "+name)
	}
	return out
}

// literal undoes the escaping of what Envoy would take for a substitution.
func literal(s string) string { return strings.ReplaceAll(s, "%%", "%") }

func redirectTo(r *routev3.RedirectAction) string {
	code := map[routev3.RedirectAction_RedirectResponseCode]int{
		routev3.RedirectAction_MOVED_PERMANENTLY: 301, routev3.RedirectAction_FOUND: 302, routev3.RedirectAction_SEE_OTHER: 303,
		routev3.RedirectAction_TEMPORARY_REDIRECT: 307, routev3.RedirectAction_PERMANENT_REDIRECT: 308,
	}[r.GetResponseCode()]
	out := "redirect " + strconv.Itoa(code)
	add := func(what, value string) {
		if value != "" {
			out += " " + what + " " + value
		}
	}
	add("scheme", r.GetSchemeRedirect())
	add("host", r.GetHostRedirect())
	if port := r.GetPortRedirect(); port != 0 {
		add("port", strconv.Itoa(int(port)))
	}
	add("path", r.GetPathRedirect())
	add("prefix", r.GetPrefixRewrite())
	if cut := r.GetRegexRewrite(); cut != nil {
		add("prefix", cut.GetSubstitution())
	}
	return out
}

func rewrites(action *routev3.RouteAction) []string {
	var out []string
	if host := action.GetHostRewriteLiteral(); host != "" {
		out = append(out, "rewrite host "+host)
	}
	if path := action.GetPathRewrite(); path != "" {
		out = append(out, "rewrite path "+literal(path))
	}
	if prefix := action.GetPrefixRewrite(); prefix != "" {
		out = append(out, "rewrite prefix "+prefix)
	}
	if cut := action.GetRegexRewrite(); cut != nil {
		out = append(out, "rewrite prefix "+cut.GetSubstitution())
	}
	return out
}

// limits are timeouts and retries, where there are any.
func limits(action *routev3.RouteAction) []string {
	var out []string
	if d := action.GetTimeout().AsDuration(); d > 0 {
		out = append(out, "timeout "+d.String())
	}
	retry := action.GetRetryPolicy()
	if retry == nil {
		return out
	}
	text := fmt.Sprintf("retry %d times", retry.GetNumRetries().GetValue())
	for i, code := range retry.GetRetriableStatusCodes() {
		text += []string{" on ", ","}[min(i, 1)] + strconv.Itoa(int(code))
	}
	if d := retry.GetRetryBackOff().GetBaseInterval().AsDuration(); d > 0 {
		text += " backoff " + d.String()
	}
	if d := retry.GetPerTryTimeout().AsDuration(); d > 0 {
		text += " attempt timeout " + d.String()
	}
	return append(out, text)
}

func cors(config *anypb.Any) (string, error) {
	policy := &corsv3.CorsPolicy{}
	if err := config.UnmarshalTo(policy); err != nil {
		return "", fmt.Errorf("CORS policy: %w", err)
	}
	out := "cors"
	for _, m := range policy.GetAllowOriginStringMatch() {
		out += " origins " + strings.TrimPrefix(value(m), "=")
	}
	for _, part := range []struct{ name, value string }{
		{"methods", policy.GetAllowMethods()}, {"headers", policy.GetAllowHeaders()},
		{"expose", policy.GetExposeHeaders()}, {"max age", policy.GetMaxAge()},
	} {
		if part.value != "" {
			out += " " + part.name + " " + part.value
		}
	}
	if policy.GetAllowCredentials().GetValue() {
		out += " with credentials"
	}
	return out, nil
}
