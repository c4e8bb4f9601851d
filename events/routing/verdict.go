package routing

import (
	"encoding/json"
	"fmt"

	"github.com/rutter-gateway/rutter/events"
)

// Verdict is what the status of one object should say, except what depends on
// the Envoys (Programmed), which status-writer adds from the receipts.
type Verdict struct {
	Object     events.Key `json:"object"`
	UID        string     `json:"uid"`
	Generation int64      `json:"generation"`
	// Since is the sequence of the event that recorded this generation: an Envoy that
	// holds a version at or after it runs it, unless the verdict of that version kept it back.
	Since uint64 `json:"since"`

	// Gateway is the namespace/name of the Gateway that a ListenerSet leads to.
	Gateway string `json:"gateway,omitempty"`
	// Conditions of a GatewayClass, a Gateway or a ListenerSet.
	Conditions []Condition `json:"conditions,omitempty"`
	// Addresses of a Gateway.
	Addresses []string `json:"addresses,omitempty"`
	// Routabilities of the addresses, by address, where the Gateway API of the cluster has
	// such a field; "" is the default.
	Routabilities map[string]string `json:"routabilities,omitempty"`
	// Features of a GatewayClass: status.supportedFeatures, sorted.
	Features []string `json:"features,omitempty"`
	// AttachedListenerSets counts the ListenerSets that a Gateway accepts; nil where it
	// allows none.
	AttachedListenerSets *int32 `json:"attachedListenerSets,omitempty"`
	// Listeners of a Gateway or a ListenerSet, in the order of its spec.
	Listeners []ListenerVerdict `json:"listeners,omitempty"`
	// Parents of a route, in the order of its spec; only those that are ours.
	Parents []ParentVerdict `json:"parents,omitempty"`
	// Ancestors of a policy: the Gateways of ours that it makes a difference to, sorted.
	Ancestors []ParentVerdict `json:"ancestors,omitempty"`
}

// Digest is what a verdict contributes to Snapshot.VerdictDigest.
func (v Verdict) Digest() Digest {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("routing: a verdict holds plain data only: %v", err))
	}
	return DigestOf(data)
}

// ConditionSynced on a GatewayClass says whether all that routing depends on is
// known as it is now.
const ConditionSynced = "rutter.dev/Synced"

// ConditionProgrammed on a parent of a route says whether the Envoys of the Gateway run
// this generation of the route. The Gateway API has Programmed for Gateways and listeners
// only. It is in a verdict only where it cannot be.
const ConditionProgrammed = "rutter.dev/Programmed"

// ConditionPinned on a Gateway for which there is a RoutingPin says whether a past version
// of its routing is in force.
const ConditionPinned = "rutter.dev/Pinned"

// ConditionRefused on a Gateway or a ListenerSet says, where it is True, that Envoy refused
// a part of what was made from it, and for which there is no route to tell.
const ConditionRefused = "rutter.dev/Refused"

// ReasonRefused is that of ConditionRefused.
const ReasonRefused = "Refused"

// ConditionCertificateWarning on a listener says, where it is True, that clients may
// refuse what is served: certificates that are expired, not yet valid, weak, or for
// other names. The Gateway API has no condition for that.
const ConditionCertificateWarning = "rutter.dev/CertificateWarning"

// Reasons of ConditionCertificateWarning.
const (
	ReasonCertificateExpired     = "CertificateExpired"
	ReasonCertificateNotYetValid = "CertificateNotYetValid"
	ReasonCertificateWeak        = "CertificateWeak"
	ReasonCertificateNames       = "CertificateNamesDoNotMatch"
)

// ConditionShadowed on a parent of a route says, where it is True, that some of its rules
// get no traffic, or none for some of its hostnames, because other rules take all that
// they match. The Gateway API has no condition for that.
const ConditionShadowed = "rutter.dev/Shadowed"

// Reasons of ConditionShadowed.
const (
	// ReasonRouteShadowed: the route gets no traffic through this parent.
	ReasonRouteShadowed = "RouteShadowed"
	// ReasonRulesShadowed: one of its rules gets none, or none for one hostname.
	ReasonRulesShadowed = "RulesShadowed"
)

// Condition is a metav1.Condition without the parts that depend on when it is
// written: observedGeneration is Verdict.Generation.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// ListenerVerdict becomes an entry of status.listeners of a Gateway or a ListenerSet.
type ListenerVerdict struct {
	Name           string      `json:"name"`
	SupportedKinds []GroupKind `json:"supportedKinds"`
	AttachedRoutes int32       `json:"attachedRoutes"`
	Conditions     []Condition `json:"conditions"`
}

// GroupKind is a kind of route that a listener takes.
type GroupKind struct {
	Group string `json:"group"`
	Kind  string `json:"kind"`
}

// ParentVerdict becomes an entry of status.parents of a route, or of
// status.ancestors of a policy.
type ParentVerdict struct {
	// Ref is the parentRef as the route wrote it; of a policy, the Gateway.
	Ref ParentRef `json:"ref"`
	// Gateway is the namespace/name of the Gateway that Ref leads to.
	Gateway    string      `json:"gateway"`
	Conditions []Condition `json:"conditions"`
}

// ParentRef is a parentRef of a route, with only the fields that it set.
type ParentRef struct {
	Group       *string `json:"group,omitempty"`
	Kind        *string `json:"kind,omitempty"`
	Namespace   *string `json:"namespace,omitempty"`
	Name        string  `json:"name"`
	SectionName *string `json:"sectionName,omitempty"`
	Port        *int32  `json:"port,omitempty"`
}
