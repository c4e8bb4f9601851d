package route

import (
	"slices"
	"strings"
	"testing"

	apifeatures "sigs.k8s.io/gateway-api/pkg/features"
)

// leftOut are the features that Rutter does not have.
func leftOut() map[string]string {
	return map[string]string{
		"GatewayAddressRoutability":        "an address that asks for it is refused",
		"GatewayAddressRoutabilityCluster": "an address that asks for it is refused",
		"GatewayListenerFilters":           "a listener that asks for them is refused",
	}
}

func TestEveryFeatureOfTheGatewayAPIIsClaimedOrLeftOut(t *testing.T) {
	claimed := features(true)
	if !slices.IsSorted(claimed) || len(slices.Compact(slices.Clone(claimed))) != len(claimed) {
		t.Errorf("not in order, or twice: %v", claimed)
	}
	known := map[string]bool{}
	for feature := range apifeatures.AllFeatures {
		name := string(feature.Name)
		known[name] = true
		if strings.HasPrefix(name, "Mesh") {
			continue
		}
		if _, out := leftOut()[name]; out == slices.Contains(claimed, name) {
			t.Errorf("%s is to be either claimed or left out", name)
		}
	}
	for _, name := range claimed {
		if !known[name] {
			t.Errorf("the Gateway API has no feature %s", name)
		}
	}
}
