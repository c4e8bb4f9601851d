package suite

import "testing"

func TestReportsAreComparedApartFromTheirDate(t *testing.T) {
	const report = "date: \"2026-11-24\"\nprofiles:\n- name: GATEWAY-HTTP\n  core: success\n"
	for _, test := range []struct{ name, found, want string }{
		{"the same", "date: \"2027-01-01\"\nprofiles:\n- name: GATEWAY-HTTP\n  core: success\n", ""},
		{"another result", "date: x\nprofiles:\n- name: GATEWAY-HTTP\n  core: failure\n", "-   core: success\n+   core: failure\n"},
		{"a line more", report + "mode: default\n", "+ mode: default\n"},
		{"a line twice", report + "  core: success\n", "+   core: success\n"},
		{"another order", "date: x\n- name: GATEWAY-HTTP\nprofiles:\n  core: success\n", "the same lines in another order\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := compareReports([]byte(report), []byte(test.found)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestProfilesAreComparedInOneOrder(t *testing.T) {
	one, err := inOrder([]byte("kind: R\nprofiles:\n- name: B\n  core: 1\n- name: A\n"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := inOrder([]byte("kind: R\nprofiles:\n- name: A\n- name: B\n  core: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if string(one) != string(other) {
		t.Errorf("got %s and %s", one, other)
	}
}

func TestEveryFeatureThatIsExemptExists(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range exempt(Standard) {
		seen[string(name)] = true
	}
	for _, want := range []string{"MeshConsumerRoute", "HTTPRouteDestinationPortMatching"} {
		if !seen[want] {
			t.Errorf("%s is asked for", want)
		}
	}
	for _, never := range []string{"Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "ReferenceGrant", "HTTPRouteCORS"} {
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
