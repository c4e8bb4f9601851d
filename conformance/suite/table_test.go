package suite

import (
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// TestTheTableNamesTheTestsOfTheSuite holds docs/conformance.md against the suite; with
// -update it writes the column.
func TestTheTableNamesTheTestsOfTheSuite(t *testing.T) {
	const path = "../../docs/conformance.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shown, told := shownBy(), map[string]bool{}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		cells := strings.Split(line, "|") // the first and the last are empty
		if len(cells) != 5 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		name := strings.Trim(cells[1], " `")
		told[name] = true
		want := " " + strings.Join(shown[name], ", ") + " "
		if len(shown[name]) == 0 {
			want = " none "
			if strings.TrimSpace(cells[3]) == "" {
				t.Errorf("nothing shows %s", name)
			}
		}
		switch {
		case *update:
			cells[2] = want
			lines[i] = strings.Join(cells, "|")
		case cells[2] != want:
			t.Errorf("%s is shown by%s, and the page says%s", name, want, cells[2])
		}
	}
	for feature := range features.AllFeatures {
		if name := string(feature.Name); !strings.HasPrefix(name, "Mesh") && !told[name] {
			t.Errorf("the page has no row for %s", name)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// shownBy are the tests of the suite for Gateways, sorted, by the most special of the
// features that they need.
func shownBy() map[string][]string {
	shown := map[string][]string{}
	for i := range tests.ConformanceTests {
		test := &tests.ConformanceTests[i]
		needs := test.Features
		if slices.ContainsFunc(needs, func(f features.FeatureName) bool { return strings.HasPrefix(string(f), "Mesh") }) {
			continue
		}
		most := 0
		for _, f := range needs {
			most = max(most, specialty(f))
		}
		for _, f := range needs {
			if specialty(f) == most {
				shown[string(f)] = append(shown[string(f)], test.ShortName)
			}
		}
	}
	for _, names := range shown {
		slices.Sort(names)
	}
	return shown
}

// specialty orders features from what everybody needs to what stands alone.
func specialty(f features.FeatureName) int {
	switch f {
	case features.SupportGateway:
		return 0
	case features.SupportReferenceGrant:
		return 1
	case features.SupportHTTPRoute, features.SupportGRPCRoute, features.SupportTLSRoute, features.SupportTCPRoute, features.SupportUDPRoute:
		return 2
	case features.SupportListenerSet, features.SupportBackendTLSPolicy:
		return 3
	}
	return 4
}
