package suite

import (
	"strings"

	"sigs.k8s.io/gateway-api/pkg/features"
)

// Channel is a release channel of the Gateway API: which CRDs are installed.
type Channel string

// The two channels.
const (
	Standard     Channel = "standard"
	Experimental Channel = "experimental"
)

// dir is where the CRDs of a channel are, among all of them.
func (c Channel) dir() string {
	if c == Standard {
		return ""
	}
	return string(c)
}

// fieldless are the features that the standard channel has no fields for. Others that
// the Gateway API counts to the experimental channel need none (a kind of reference, a
// field that both have), and are asked for on both.
var fieldless = []features.FeatureName{
	features.SupportGatewayAddressRoutability,
	features.SupportGatewayAddressRoutabilityCluster,
	features.SupportGatewayListenerFilters,
}

// exempt are the features that the suite is not to ask for, on a channel.
func exempt(channel Channel) []features.FeatureName {
	var result []features.FeatureName
	if channel == Standard {
		result = append(result, fieldless...)
	}
	for feature := range features.AllFeatures {
		if strings.HasPrefix(string(feature.Name), "Mesh") {
			result = append(result, feature.Name) // a gateway is no mesh
		}
	}
	return result
}
