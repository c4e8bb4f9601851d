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

// exempt are the features that the suite is not to ask for, on a channel.
func exempt(channel Channel) []features.FeatureName {
	var result []features.FeatureName
	for feature := range features.AllFeatures {
		switch {
		case strings.HasPrefix(string(feature.Name), "Mesh"):
			result = append(result, feature.Name) // a gateway is no mesh
		case channel == Standard && feature.Channel == features.FeatureChannelExperimental:
			result = append(result, feature.Name) // its fields are not in the CRDs
		}
	}
	return result
}
