package envoy

import (
	"cmp"
	"regexp"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/rutter-gateway/rutter/projector/route"
)

// setRewrite changes path and host of what the backend sees (HTTPURLRewriteFilter;
// a rule that sets the Host header means the same as one that rewrites it).
func setRewrite(action *routev3.RouteAction, path route.PathMatch, f route.Filters) {
	host := hostOf(f.RequestHeaders)
	if f.Rewrite != nil {
		host = cmp.Or(f.Rewrite.Hostname, host)
		if change := f.Rewrite.Path; change != nil {
			setPath(action, path, change)
		}
	}
	if host != "" {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: host}
	}
}

func setPath(action *routev3.RouteAction, path route.PathMatch, change *route.PathChange) {
	if change.Full != nil {
		action.PathRewrite = literal(rooted(*change.Full))
		return
	}
	prefix, cut := prefixChange(path, change)
	action.PrefixRewrite, action.RegexRewrite = prefix, cut
}

// prefixChange satisfies the table of HTTPPathModifier.replacePrefixMatch, in
// terms of what Envoy does: it puts prefix in place of the matched characters,
// so both must have, or both lack, a slash at the end. One case cannot be said
// that way, removing a prefix: /foo becomes / but /foo/bar becomes /bar; cut is
// the substitution for it, and prefix is "".
func prefixChange(path route.PathMatch, change *route.PathChange) (prefix string, cut *matcherv3.RegexMatchAndSubstitute) {
	matched, replacement := change.Matched, ""
	if path.Kind == route.Prefix {
		matched = path.Value
	}
	if change.Prefix != nil {
		replacement = *change.Prefix
	}
	matched = pathPrefix(matched)
	if replacement = pathPrefix(replacement); replacement != "" {
		replacement = rooted(replacement)
	}
	switch {
	case matched == "": // matches the leading "/"
		return replacement + "/", nil
	case replacement != "":
		return replacement, nil
	}
	return "", &matcherv3.RegexMatchAndSubstitute{
		Pattern:      regex("^" + regexp.QuoteMeta(matched) + "/?"),
		Substitution: "/",
	}
}

// rooted is a path with the leading slash that every path has.
func rooted(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}
