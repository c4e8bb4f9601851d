package evaluate

import (
	"slices"
	"strconv"
	"strings"
)

// Request is one of HTTP, as a client sends it.
type Request struct {
	Port uint32
	// TLS with the server name that the client asks for.
	TLS        bool
	ServerName string
	Method     string
	// Authority is the Host header: a name or address, and perhaps a port.
	Authority string
	// Target is the path with the query.
	Target string
	// Headers are the others, with names in lower case.
	Headers []Header
}

// Header is one line of a request.
type Header struct{ Name, Value string }

// values are those of a header in one text, as Envoy compares them.
func (r *Request) values(name string) (string, bool) {
	switch name {
	case ":method":
		return r.Method, true
	case ":authority":
		return withoutDot(r.Authority), true
	}
	var all []string
	for _, h := range r.Headers {
		if h.Name == name {
			all = append(all, h.Value)
		}
	}
	return strings.Join(all, ","), len(all) > 0
}

// grpc tells what Envoy takes for gRPC.
func (r *Request) grpc() bool {
	value, _ := r.values("content-type")
	rest, ok := strings.CutPrefix(value, "application/grpc")
	return ok && (rest == "" || rest[0] == '+')
}

// preflight tells what Envoy's CORS filter takes for one.
func (r *Request) preflight() bool {
	_, origin := r.values("origin")
	method, asks := r.values("access-control-request-method")
	return r.Method == "OPTIONS" && origin && asks && method != ""
}

// portStart is where the port of an authority begins, at its colon; its length if it
// has none.
func portStart(authority string) int {
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 || strings.LastIndexByte(authority, ']') > colon {
		return len(authority)
	}
	return colon
}

// withoutDot is an authority without the dot that ends a name
// (HttpConnectionManager.strip_trailing_host_dot).
func withoutDot(authority string) string {
	at := portStart(authority)
	return strings.TrimSuffix(authority[:at], ".") + authority[at:]
}

// hostname is what of an authority virtual hosts are chosen by
// (RouteConfiguration.ignore_port_in_host_matching).
func hostname(authority string) string {
	authority = withoutDot(authority)
	return strings.ToLower(authority[:portStart(authority)])
}

// splitTarget is the path and the query, without the question mark.
func splitTarget(target string) (path, query string) {
	path, query, _ = strings.Cut(target, "?")
	return path, query
}

// unescapeSlashes decodes the slashes and backslashes of a path
// (HttpConnectionManager.path_with_escaped_slashes_action).
func unescapeSlashes(path string) string {
	return strings.NewReplacer("%2F", "/", "%2f", "/", "%5C", "\\", "%5c", "\\").Replace(path)
}

// normalize is a path as routes are matched with it (normalize_path, merge_slashes):
// what need not be escaped is not, there is no "." nor "..", and no two slashes.
func normalize(path string) string {
	path = strings.ReplaceAll(unescapeUnreserved(path), "\\", "/")
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, s)
			continue
		}
		if last {
			kept = append(kept, "")
		}
	}
	return mergeSlashes("/" + strings.Join(kept, "/"))
}

// mergeSlashes is a path without empty segments. Envoy leaves two slashes where there
// is nothing else.
func mergeSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	out := "/" + strings.Join(slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" }), "/")
	if strings.HasSuffix(path, "/") {
		out += "/"
	}
	return out
}

// unescapeUnreserved decodes what RFC 3986, section 2.3, says need not be encoded.
func unescapeUnreserved(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if code, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil && unreserved(byte(code)) {
				out.WriteByte(byte(code))
				i += 2
				continue
			}
		}
		out.WriteByte(path[i])
	}
	return out.String()
}

func unreserved(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("-._~", b) >= 0
}
