package suite

import (
	"strings"
	"testing"
)

func TestReportsAreComparedApartFromDateAndOrder(t *testing.T) {
	profile := func(name, result string) string {
		return "- name: " + name + "\n  core: {result: " + result + "}\n"
	}
	report := func(date string, profiles ...string) string {
		return "date: \"" + date + "\"\nprofiles:\n" + strings.Join(profiles, "")
	}
	committed := report("2026-11-24", profile("GATEWAY-HTTP", "success"), profile("GATEWAY-TLS", "success"))
	for _, test := range []struct{ name, found, want string }{
		{"the same", report("2027-01-01", profile("GATEWAY-HTTP", "success"), profile("GATEWAY-TLS", "success")), ""},
		{"another order", report("x", profile("GATEWAY-TLS", "success"), profile("GATEWAY-HTTP", "success")), ""},
		{
			"another result", report("x", profile("GATEWAY-HTTP", "success"), profile("GATEWAY-TLS", "failure")),
			"-     result: success\n+     result: failure\n",
		},
		{
			"results that changed places", report("x", profile("GATEWAY-HTTP", "failure"), profile("GATEWAY-TLS", "success")),
			"-     result: success\n+     result: failure\n",
		},
		{"another mode", committed + "mode: special\n", "- mode: \"\"\n+ mode: special\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := compareReports([]byte(committed), []byte(test.found)); err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
	if _, err := compareReports([]byte(committed), []byte("profiles: 7")); err == nil {
		t.Error("nonsense is a report")
	}
}

func TestEveryFeatureThatIsExemptExists(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range exempt(Standard) {
		seen[string(name)] = true
	}
	for _, want := range []string{"MeshConsumerRoute", "GatewayListenerFilters"} {
		if !seen[want] {
			t.Errorf("%s is asked for", want)
		}
	}
	for _, never := range []string{"Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "ReferenceGrant", "HTTPRouteCORS", "ClusterTrustBundle"} {
		if seen[never] {
			t.Errorf("%s is not asked for", never)
		}
	}
}

func TestASummarySaysHowEachProfileWent(t *testing.T) {
	const report = `
gatewayAPIChannel: standard
profiles:
- name: GATEWAY-HTTP
  core: {statistics: {Passed: 3, Failed: 1}}
  extended: {statistics: {Passed: 2, Failed: 0}}
  summary: Core tests failed.
- name: GATEWAY-TLS
  core: {statistics: {Passed: 1}}
`
	const want = "GATEWAY-HTTP, standard channel: 5 passed, 1 failed. Core tests failed.\nGATEWAY-TLS, standard channel: 1 passed, 0 failed. \n"
	if got, err := summarize([]byte(report)); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
