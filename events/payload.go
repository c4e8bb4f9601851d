package events

import (
	"strings"
	"time"
)

// EpochOpened is the payload of the guard message: who may write from here on,
// and the settings under which everything until the next epoch is folded. What
// matters to routing and is no Kubernetes object enters the log here (invariant 1).
type EpochOpened struct {
	Epoch  uint64 `json:"epoch"`
	Holder string `json:"holder"`
	// ClusterUID is the uid of the namespace kube-system of the cluster that is
	// recorded, on EVENTS; empty for a directory of manifests.
	ClusterUID string `json:"clusterUID,omitempty"`
	// Settings are present on EVENTS only.
	Settings *Settings `json:"settings,omitempty"`
}

// Settings are the facts about this installation that the fold depends on.
type Settings struct {
	ControllerName string `json:"controllerName"`
	// Resources are listed and followed in this epoch; nothing is projected before
	// each of them is synced.
	Resources []string `json:"resources"`
	// ListenAddress is where Envoy listeners bind, such as 0.0.0.0.
	ListenAddress string `json:"listenAddress"`
	// RouteLayout is how virtual hosts are laid out for Envoy: "plain" or
	// "scoped"; a GatewayClass may choose for itself.
	RouteLayout string `json:"routeLayout"`
	// Recipient is the public key to which private keys are sealed (age X25519).
	Recipient string `json:"recipient,omitempty"`
	// Provisioned says that each Gateway has Envoys of its own behind a Service of
	// its own, so that its addresses are those of that Service.
	Provisioned bool `json:"provisioned,omitempty"`
}

// Sync brackets the listing of one resource: the payload of sync.started and
// sync.completed.
type Sync struct {
	Resource string `json:"resource"`
	// ResourceVersion is that of the list, where it is known: always when completed,
	// never for a directory of manifests.
	ResourceVersion string `json:"resourceVersion,omitempty"`
	// Whole, of sync.completed: every object of the resource that exists stands
	// between the brackets, changed or not, so that a reader who knows nothing of
	// what was recorded before knows all of them.
	Whole bool `json:"whole,omitempty"`
	// Problem of a completed list says why it is not to be taken for the whole truth:
	// what was recorded of the resource before stays in force, although not all of
	// it was found, until a list completes without a problem.
	Problem *SyncProblem `json:"problem,omitempty"`
}

// SyncProblem is why a list was not made, or not believed.
type SyncProblem struct {
	// Reason is one of the constants below; Message is a sentence for people.
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Reasons of a SyncProblem.
const (
	// ReasonForbidden: the API server does not let us list the resource.
	ReasonForbidden = "Forbidden"
	// ReasonNotInstalled: the cluster has no such resource, and so no objects of it.
	ReasonNotInstalled = "NotInstalled"
	// ReasonUninstalled: it has no such resource any more, and what became of the
	// objects of it was not seen.
	ReasonUninstalled = "Uninstalled"
	// ReasonDeletionsHeld: so much is missing that somebody has to confirm it.
	ReasonDeletionsHeld = "DeletionsHeld"
	// ReasonTooLarge: objects are larger than a message of the log.
	ReasonTooLarge = "TooLarge"
	// ReasonListIncomplete: the list lacks what exists.
	ReasonListIncomplete = "ListIncomplete"
)

// Verdict records that Envoy refused a published resource. It excludes exactly
// that digest: the verdict ends when the digest changes. Its key is that of the
// object from which the resource was made.
type Verdict struct {
	Gateway string `json:"gateway"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Digest  string `json:"digest"`
	// Reason is Envoy's error_detail.
	Reason string `json:"reason"`
	// LastGood is the body of the resource that Envoy held before, which takes the
	// place of the refused one; empty where there was none, and there is then no
	// resource of that name.
	LastGood []byte `json:"lastGood,omitempty"`
	// LastSealed is the sealed private key that belongs to LastGood, of a secret.
	LastSealed []byte `json:"lastSealed,omitempty"`
	// LastSealedDigest is in the place of LastSealed where that was left out, as in a
	// bundle. See [Event.Keyless].
	LastSealedDigest string `json:"lastSealedDigest,omitempty"`
}

// TimeReached records that a moment on which an object depends has come, such as
// the notAfter of its certificate. Its key is that of the object.
type TimeReached struct {
	Time time.Time `json:"time"`
}

// ActorObserved is who asked the API server for a change, as an admission webhook saw
// it: ahead of the change, which may still have been refused by somebody else, or have
// come to nothing. It is joined to what was recorded when that is read, by the uid, by
// the content, and by the resourceVersions before and after. Its key is that of the
// object, its time that of the request.
type ActorObserved struct {
	User   string   `json:"user"`
	Groups []string `json:"groups,omitempty"`
	// RequestUID is that of the review, which the API server makes for each.
	RequestUID string `json:"requestUID"`
	// Operation is CREATE, UPDATE or DELETE; Subresource "" for the object as a whole.
	Operation   string `json:"operation"`
	Subresource string `json:"subresource,omitempty"`
	// UID is that of the object, ResourceVersion the state of it that the change was to
	// replace; "" for a creation.
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
	// Before and Content are [Content] of what the object was and of what it was to become,
	// in hex; "" where it was not, or was to be no longer.
	Before  string `json:"before,omitempty"`
	Content string `json:"content,omitempty"`
	// DryRun requests change nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// SyncKey is the key of the sync brackets of a resource.
func SyncKey(resource string) Key { return Key{Resource: syncResource, Name: resource} }

// ProblemKey is the key of a sync.completed that says a problem, and that it is
// over. It differs from SyncKey for EndpointSlices only, whose brackets are in
// ENDPOINTS, which the fold does not read.
func ProblemKey(resource string) Key {
	if resource == EndpointSlices {
		resource += ".problem"
	}
	return SyncKey(resource)
}

// IsSync tells whether a key is that of sync brackets.
func (k Key) IsSync() bool { return k.Resource == syncResource }

const syncResource = "sync"

// EpochKey is the key of a stream's guard messages; its subject is [GuardSubject].
func EpochKey(stream string) Key { return Key{Resource: "epoch", Name: strings.ToLower(stream)} }
