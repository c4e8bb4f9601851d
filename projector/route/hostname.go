package route

import "strings"

// anyHost is the pattern that every hostname matches: what an absent hostname means.
const anyHost = "*"

// orAny is a hostname as a pattern.
func orAny(hostname string) string {
	if hostname == "" {
		return anyHost
	}
	return strings.ToLower(hostname)
}

// covers tells whether every hostname that narrow matches is matched by wide. A
// wildcard stands for one or more labels (HTTPRouteSpec.hostnames).
func covers(wide, narrow string) bool {
	if wide == anyHost || wide == narrow {
		return true
	}
	suffix, wildcard := strings.CutPrefix(wide, "*")
	return wildcard && strings.HasSuffix(narrow, suffix) && narrow != suffix
}

// intersect is the narrower of two patterns, if one covers the other.
func intersect(a, b string) (string, bool) {
	switch {
	case covers(a, b):
		return b, true
	case covers(b, a):
		return a, true
	default:
		return "", false
	}
}

// covering are all patterns that cover hostname, the most specific first: itself,
// *.parent, *.grandparent, …, *. In this order rules take precedence
// (HTTPRouteSpec.hostnames: most characters of a matching non-wildcard hostname,
// then of a matching hostname).
func covering(hostname string) []string {
	patterns := []string{hostname}
	rest := strings.TrimPrefix(hostname, "*.")
	for {
		_, parent, ok := strings.Cut(rest, ".")
		if !ok {
			break
		}
		patterns = append(patterns, "*."+parent)
		rest = parent
	}
	if hostname != anyHost {
		patterns = append(patterns, anyHost)
	}
	return patterns
}
