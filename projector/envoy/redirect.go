package envoy

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/rutter-gateway/rutter/projector/route"
)

// redirectRoutes answer with a Location (HTTPRequestRedirectFilter).
//
// Envoy takes host and port of the Location from the request's Host header where
// it is told neither. A port there is the one that the client used, which is not
// what the API asks for, and nothing makes Envoy leave out just that. So an exact
// hostname is written out. For a wildcard host, requests whose Host names a port
// get a route of their own that names the right port: a correct Location, though
// with a port that SHOULD be left out.
func redirectRoutes(base *routev3.Route, chain *route.Chain, hostname string, path route.PathMatch, r *route.Redirect) []*routev3.Route {
	port := redirectPort(chain, r)
	action := &routev3.RedirectAction{ResponseCode: redirectCode(r.StatusCode), HostRedirect: r.Hostname}
	if r.Scheme != "" {
		action.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: r.Scheme}
	}
	setRedirectPath(action, path, r.Path)
	base.Action = &routev3.Route_Redirect{Redirect: action}
	if port != wellKnown(redirectScheme(chain, r)) {
		action.PortRedirect = uint32(port)
		return []*routev3.Route{base}
	}
	if r.Hostname != "" {
		return []*routev3.Route{base}
	}
	if !strings.HasPrefix(hostname, "*") {
		action.HostRedirect = hostname
		return []*routev3.Route{base}
	}
	withPort := variant(base, header(":authority", matching(`.*:[0-9]+`)))
	withPort.GetRedirect().PortRedirect = uint32(port)
	return []*routev3.Route{withPort, base}
}

// redirectPort is the port that the Location leads to, named or not
// (HTTPRequestRedirectFilter.port).
func redirectPort(chain *route.Chain, r *route.Redirect) int32 {
	if r.Port != 0 {
		return r.Port
	}
	if port := wellKnown(r.Scheme); port != 0 {
		return port
	}
	return chain.Port
}

func redirectScheme(chain *route.Chain, r *route.Redirect) string {
	switch {
	case r.Scheme != "":
		return r.Scheme
	case chain.TLS:
		return "https"
	}
	return "http"
}

// wellKnown is the port that a URL of the scheme need not name; 0 if there is none.
func wellKnown(scheme string) int32 {
	switch scheme {
	case "http":
		return 80
	case "https":
		return 443
	}
	return 0
}

// setRedirectPath changes the path of the Location; the query stays.
func setRedirectPath(action *routev3.RedirectAction, path route.PathMatch, change *route.PathChange) {
	if change == nil {
		return
	}
	if change.Full != nil {
		action.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: rooted(*change.Full)}
		return
	}
	if prefix, cut := prefixChange(path, change); cut != nil {
		action.PathRewriteSpecifier = &routev3.RedirectAction_RegexRewrite{RegexRewrite: cut}
	} else {
		action.PathRewriteSpecifier = &routev3.RedirectAction_PrefixRewrite{PrefixRewrite: prefix}
	}
}

func redirectCode(status int) routev3.RedirectAction_RedirectResponseCode {
	switch status {
	case 301:
		return routev3.RedirectAction_MOVED_PERMANENTLY
	case 303:
		return routev3.RedirectAction_SEE_OTHER
	case 307:
		return routev3.RedirectAction_TEMPORARY_REDIRECT
	case 308:
		return routev3.RedirectAction_PERMANENT_REDIRECT
	}
	return routev3.RedirectAction_FOUND // the default of the API
}
