package parameters_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/parameters"
)

const keySet = `{"keys":[{"kty":"OKP","x":"AAAA"}]}`

func read(t *testing.T, text string) (*parameters.Parameters, string) {
	t.Helper()
	spec := &v1alpha1.RutterClassSpec{}
	if err := yaml.UnmarshalStrict([]byte(text), spec); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return parameters.Read(parameters.Source{Spec: spec, Keys: keySet})
}

// Each field of a RutterClass by itself, and all that comes of it.
func TestEachFieldSaysOneThing(t *testing.T) {
	keys := func(change func(*parameters.Tokens)) parameters.Parameters {
		tokens := &parameters.Tokens{Header: "Authorization", Issuer: "i", Audiences: []string{"a"}, Keys: keySet}
		change(tokens)
		return parameters.Parameters{Tenancy: &parameters.Tenancy{Mode: "authHeader", Claim: "tenant", Tokens: tokens}}
	}
	const tokens = "tenancy: {mode: authHeader, authHeader: {issuer: i, audiences: [a], jwks: {configMapRef: {namespace: n, name: k}}%s}}"
	claim := keys(func(*parameters.Tokens) {})
	claim.Tenancy.Claim = "team"
	second, none, n := time.Second, time.Duration(0), func(n uint32) *uint32 { return &n }
	for text, want := range map[string]parameters.Parameters{
		"{}":                                      {},
		"proxy: {replicas: 3}":                    {Proxy: parameters.Proxy{Replicas: 3}},
		"proxy: {maxConnections: 9}":              {Proxy: parameters.Proxy{MaxConnections: 9}},
		"proxy: {service: {type: NodePort}}":      {Proxy: parameters.Proxy{ServiceType: "NodePort"}},
		"proxy: {service: {annotations: {a: b}}}": {Proxy: parameters.Proxy{ServiceAnnotations: map[string]string{"a": "b"}}},
		"proxy: {resources: {requests: {cpu: 1000m}}}": {
			Proxy: parameters.Proxy{Resources: &routing.Resources{Requests: map[string]string{"cpu": "1"}}},
		},
		"proxy: {resources: {limits: {memory: 1Gi}}}": {
			Proxy: parameters.Proxy{Resources: &routing.Resources{Limits: map[string]string{"memory": "1Gi"}}},
		},
		"accessLog: {sink: Stderr}":                                  {Log: parameters.AccessLog{Sink: "Stderr"}},
		"accessLog: {format: {text: a}}":                             {Log: parameters.AccessLog{Text: "a\n"}},
		"accessLog: {format: {json: {a: b}}}":                        {Log: parameters.AccessLog{JSON: map[string]string{"a": "b"}}},
		"edge: {trustedHops: 2}":                                     {Edge: parameters.Edge{TrustedHops: 2}},
		"edge: {idleTimeout: 1s}":                                    {Edge: parameters.Edge{IdleTimeout: &second}},
		"edge: {streamIdleTimeout: 1s}":                              {Edge: parameters.Edge{StreamIdleTimeout: &second}},
		"edge: {requestHeadersTimeout: 0s}":                          {Edge: parameters.Edge{RequestHeadersTimeout: &none}},
		"edge: {maxConcurrentStreams: 7}":                            {Edge: parameters.Edge{MaxConcurrentStreams: n(7)}},
		"edge: {maxRequestHeaders: 7}":                               {Edge: parameters.Edge{MaxRequestHeaders: n(7)}},
		"edge: {maxRequestHeadersKiB: 7}":                            {Edge: parameters.Edge{MaxRequestHeadersKiB: n(7)}},
		"edge: {escapedSlashes: Keep}":                               {Edge: parameters.Edge{EscapedSlashes: "Keep"}},
		"edge: {headersWithUnderscores: Drop}":                       {Edge: parameters.Edge{HeadersWithUnderscores: "Drop"}},
		"tenancy: {mode: namespace}":                                 {Tenancy: &parameters.Tenancy{Mode: "namespace"}},
		"tenancy: {mode: labelSelector, tenantIDLabel: l}":           {Tenancy: &parameters.Tenancy{Mode: "labelSelector", Label: "l"}},
		"tenancy: {mode: namespace, allowedNamespaces: [a]}":         {Tenancy: &parameters.Tenancy{Mode: "namespace", Allowed: []string{"a"}}},
		fmt.Sprintf(tokens, ""):                                      keys(func(*parameters.Tokens) {}),
		fmt.Sprintf(tokens, ", header: X"):                           keys(func(t *parameters.Tokens) { t.Header = "X" }),
		fmt.Sprintf(tokens, ", forward: true"):                       keys(func(t *parameters.Tokens) { t.Forward = true }),
		fmt.Sprintf(tokens, ", claim: team"):                         claim,
		strings.Replace(fmt.Sprintf(tokens, ""), "[a]", "[b, c]", 1): keys(func(t *parameters.Tokens) { t.Audiences = []string{"b", "c"} }),
		strings.Replace(fmt.Sprintf(tokens, ""), "configMapRef: {namespace: n, name: k}", `url: "https://i.test:8443/k"`, 1): keys(func(t *parameters.Tokens) {
			t.Keys, t.URL = "", "https://i.test:8443/k"
		}),
	} {
		got, why := read(t, text)
		if why != "" || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s\nis   %+v (%s)\nwant %+v", text, got, why, want)
		}
	}
}

// Whatever is wrong, nothing of it is in force, and the words name the field.
func TestWhatCannotBeUsedIsRefusedInWords(t *testing.T) {
	for text, want := range map[string]string{
		"edge: {idleTimeout: soon}":                                                      "edge.idleTimeout: ",
		"edge: {streamIdleTimeout: soon}":                                                "edge.streamIdleTimeout: ",
		"edge: {requestHeadersTimeout: soon}":                                            "edge.requestHeadersTimeout: ",
		"proxy: {resources: {requests: {cpu: 2}, limits: {cpu: 1}}}":                     "the request of cpu, 2, is more than its limit, 1",
		`proxy: {service: {annotations: {"a b": c}}}`:                                    `proxy.service.annotations: "a b"`,
		"accessLog: {format: {text: '%HOSTNAME%'}}":                                      "accessLog.format.text: the command operator HOSTNAME",
		"accessLog: {format: {json: {a: '50%'}}}":                                        `accessLog.format.json, field "a": "%"`,
		"tenancy: {mode: own}":                                                           `tenancy.mode is "own"`,
		"tenancy: {mode: labelSelector}":                                                 "tenancy.tenantIDLabel is empty",
		"tenancy: {mode: authHeader}":                                                    "tenancy.authHeader is missing",
		"tenancy: {mode: authHeader, authHeader: {issuer: i, audiences: [a], jwks: {}}}": "names neither a ConfigMap nor a URL",
		`tenancy: {mode: authHeader, authHeader: {issuer: i, audiences: [a], jwks: {url: "ftp://i.test"}}}`: `jwks.url is "ftp://i.test"`,
		`tenancy: {mode: authHeader, authHeader: {issuer: i, audiences: [a], jwks: {url: "https://"}}}`:     `jwks.url is "https://"`,
	} {
		if got, why := read(t, text); got != nil || !strings.Contains(why, want) {
			t.Errorf("%s is %+v, %q; want %q", text, got, why, want)
		}
	}
}
