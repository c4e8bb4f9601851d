package parameters

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
)

// AccessLog is what Envoy logs of requests and connections; the zero value is the usual
// fields as JSON, to Stdout.
type AccessLog struct {
	Sink v1alpha1.Sink
	Text string            // a line, or
	JSON map[string]string // fields
}

// newAccessLog refuses formats that Envoy would refuse, and with them the listener.
func newAccessLog(spec *v1alpha1.AccessLog) (out AccessLog, why string) {
	if spec == nil {
		return out, ""
	}
	out.Sink = spec.Sink
	if spec.Format == nil {
		return out, ""
	}
	if text := spec.Format.Text; text != nil {
		out.Text = strings.TrimSuffix(*text, "\n") + "\n"
		if why := badFormat(*text); why != "" {
			return out, "accessLog.format.text: " + why
		}
	}
	out.JSON = spec.Format.JSON
	for _, name := range slices.Sorted(maps.Keys(spec.Format.JSON)) {
		if why := badFormat(spec.Format.JSON[name]); why != "" {
			return out, fmt.Sprintf("accessLog.format.json, field %q: %s", name, why)
		}
	}
	return out, ""
}

// LogOperators are the command operators that a format may have: of Envoy's, those that
// say something about requests and connections, and nothing about the machine.
func LogOperators() []string {
	return strings.Fields(`
		START_TIME DURATION REQUEST_DURATION REQUEST_TX_DURATION RESPONSE_DURATION RESPONSE_TX_DURATION
		PROTOCOL RESPONSE_CODE RESPONSE_CODE_DETAILS RESPONSE_FLAGS RESPONSE_FLAGS_LONG CONNECTION_TERMINATION_DETAILS
		BYTES_RECEIVED BYTES_SENT ROUTE_NAME CONNECTION_ID STREAM_ID REQUESTED_SERVER_NAME
		UPSTREAM_CLUSTER UPSTREAM_HOST UPSTREAM_LOCAL_ADDRESS UPSTREAM_REMOTE_ADDRESS UPSTREAM_REQUEST_ATTEMPT_COUNT
		UPSTREAM_TRANSPORT_FAILURE_REASON UPSTREAM_PROTOCOL UPSTREAM_TLS_VERSION
		DOWNSTREAM_REMOTE_ADDRESS DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_REMOTE_ADDRESS
		DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_LOCAL_ADDRESS DOWNSTREAM_LOCAL_PORT
		DOWNSTREAM_TLS_VERSION DOWNSTREAM_TLS_CIPHER DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_FINGERPRINT_256
		DOWNSTREAM_PEER_URI_SAN DOWNSTREAM_PEER_DNS_SAN`)
}

// badFormat is what is wrong with a format; "" is nothing.
func badFormat(format string) string {
	operator := regexp.MustCompile(`^%([A-Z0-9_]+)(\([^()%]*\))?(?::[0-9]{1,5})?%`)
	header := regexp.MustCompile(`^\(:?[A-Za-z0-9_-]+(\?:?[A-Za-z0-9_-]+)?\)$`)
	for rest := format; ; {
		at := strings.IndexByte(rest, '%')
		if at < 0 {
			return ""
		}
		if rest = rest[at:]; strings.HasPrefix(rest, "%%") {
			rest = rest[2:]
			continue
		}
		found := operator.FindStringSubmatch(rest)
		if found == nil {
			return fmt.Sprintf("%q begins with no command operator; write %%%% for a percent sign.", rest[:min(len(rest), 40)])
		}
		switch name, argument := found[1], found[2]; name {
		case "REQ", "RESP", "TRAILER":
			if !header.MatchString(argument) {
				return fmt.Sprintf("%s needs the name of a header, such as %%%s(USER-AGENT)%%.", found[0], name)
			}
		default:
			if !slices.Contains(LogOperators(), name) {
				return fmt.Sprintf("the command operator %s is not supported.", cmp.Or(name, found[0]))
			}
			if argument != "" || strings.Contains(found[0], ":") {
				return fmt.Sprintf("%s takes neither an argument nor a length.", name)
			}
		}
		rest = rest[len(found[0]):]
	}
}
