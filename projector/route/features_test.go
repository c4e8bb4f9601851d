package route

import (
	"slices"
	"strings"
	"testing"

	apifeatures "sigs.k8s.io/gateway-api/pkg/features"
)

func TestEveryFeatureOfTheGatewayAPIIsClaimed(t *testing.T) {
	claimed := features(true, true)
	if !slices.IsSorted(claimed) || len(slices.Compact(slices.Clone(claimed))) != len(claimed) {
		t.Errorf("not in order, or twice: %v", claimed)
	}
	known := map[string]bool{}
	for feature := range apifeatures.AllFeatures {
		name := string(feature.Name)
		known[name] = true
		if mesh := strings.HasPrefix(name, "Mesh"); mesh == slices.Contains(claimed, name) {
			t.Errorf("%s is claimed: %v", name, !mesh)
		}
	}
	for _, name := range claimed {
		if !known[name] {
			t.Errorf("the Gateway API has no feature %s", name)
		}
	}
}

func TestWhatHasNoFieldOnTheStandardChannelIsNotClaimedThere(t *testing.T) {
	fieldless := map[bool][]string{
		false: {"GatewayListenerFilters"},
		true:  {"GatewayAddressRoutability", "GatewayAddressRoutabilityCluster", "GatewayListenerFilters"},
	}
	for provisioned, want := range fieldless {
		standard := features(provisioned, false)
		missing := slices.DeleteFunc(features(provisioned, true), func(name string) bool { return slices.Contains(standard, name) })
		if !slices.Equal(missing, want) {
			t.Errorf("provisioned %v: %v are not claimed on the standard channel, want %v", provisioned, missing, want)
		}
	}
}
