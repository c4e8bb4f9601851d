package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// KindPin is the kind RoutingPin.
const KindPin = "RoutingPin"

// RoutingPin puts the routing that was published for a Gateway in a past version in
// force, with the endpoints and the certificates of today, until it is deleted.
type RoutingPin struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              RoutingPinSpec   `json:"spec"`
	Status            RoutingPinStatus `json:"status,omitzero"`
}

// RoutingPinSpec names what is put in force. `rutter pin` fills it in.
type RoutingPinSpec struct {
	// GatewayRef is a Gateway in the namespace of the RoutingPin.
	GatewayRef GatewayReference `json:"gatewayRef"`
	// Version is incarnation/sequence.
	Version string `json:"version"`
	// Digest is that of the routing that was published for the Gateway in the version:
	// exactly that is put in force, or nothing.
	Digest string `json:"digest"`
	// Reason is for people.
	Reason string `json:"reason,omitempty"`
}

// GatewayReference names a Gateway.
type GatewayReference struct {
	Name string `json:"name"`
}

// RoutingPinStatus says whether it is in force.
type RoutingPinStatus struct {
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
