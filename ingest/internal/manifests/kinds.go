package manifests

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/rutter-gateway/rutter/events"
)

// kind is a kind of object that is read here.
type kind struct {
	resource   string
	namespaced bool
	// versions are the served API versions, by name.
	versions map[string]endpoint
}

// endpoint is what the API server does with a request in one version of a kind.
type endpoint interface {
	// create decodes, defaults and validates a new object. Its error has the text
	// of the API server's refusal.
	create(request) (map[string]any, error)
	// update says whether the object may take the place of old (nil: it may).
	// compares is false where it always may.
	update(object, old map[string]any) error
	compares() bool
}

// request is a document on its way to an object: its JSON, the same decoded with
// integers as int64, and what strict decoding found on the way (duplicate keys).
type request struct {
	kind   schema.GroupVersionKind
	json   []byte
	object map[string]any
	strict []error
}

// kinds is every kind that is read: the custom ones by their definitions in
// crds, the core ones as core.go lists them.
func kinds() (map[schema.GroupKind]kind, error) {
	all, err := customKinds()
	if err != nil {
		return nil, err
	}
	maps.Copy(all, coreKinds())
	return all, nil
}

// order is the place of a resource in a batch: what others refer to goes first,
// routes last, so that a consumer that records one by one records no reference
// ahead of its target.
func order(resource string) int {
	first := []string{
		events.Namespaces, events.Secrets, events.ConfigMaps, events.ClusterTrustBundles, events.Services, events.EndpointSlices,
		events.ReferenceGrants, events.BackendTLSPolicies, events.RutterClasses, events.GatewayClasses, events.Gateways, events.ListenerSets,
	}
	if i := slices.Index(first, resource); i >= 0 {
		return i
	}
	return len(first)
}
