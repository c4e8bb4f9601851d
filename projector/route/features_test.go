package route

import (
	"slices"
	"strings"
	"testing"

	apifeatures "sigs.k8s.io/gateway-api/pkg/features"
)

// leftOut are the features that Rutter does not have.
func leftOut() map[string]string {
	return map[string]string{}
}

func TestEveryFeatureOfTheGatewayAPIIsClaimedOrLeftOut(t *testing.T) {
	claimed := features(true, true)
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

func TestWhatNeedsTheExperimentalChannelIsClaimedWhereItIs(t *testing.T) {
	for _, provisioned := range []bool{false, true} {
		all, standard := features(provisioned, true), features(provisioned, false)
		for feature := range apifeatures.AllFeatures {
			name := string(feature.Name)
			want := slices.Contains(all, name) && feature.Channel != apifeatures.FeatureChannelExperimental
			if got := slices.Contains(standard, name); got != want {
				t.Errorf("provisioned %v: %s is of the %s channel, and on the standard one it is claimed: %v", provisioned, name, feature.Channel, got)
			}
		}
	}
}
