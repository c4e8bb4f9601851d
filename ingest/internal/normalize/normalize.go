// Package normalize decides what of a Kubernetes object is recorded.
//
//	object as observed ──Object──► object as recorded ──JSON──► payload
//	                                      └──Hash──► what counts as a change
//
// Dropped is what changes without meaning anything to routing: managedFields
// (but for who wrote last, see actor.go), the last-applied annotation, selfLink
// and status, except what a keep-list names. Everything else stays, known to this
// build or not, so that a newer build finds it in the log. Of a
// CustomResourceDefinition only a keep-list stays (see definition.go).
//
// The package promises to be pure: it never writes to what it is given, and
// equal objects give equal bytes. It refuses to judge an object: see manifests.
package normalize

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// lastApplied repeats the whole object in an annotation.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Object is the part of o that is recorded for an object of this resource
// (plural, such as "services"). It shares what it keeps with o: treat both as
// read-only from here on.
func Object(resource string, o map[string]any) map[string]any {
	if resource == events.CustomResourceDefinitions {
		return definition(o)
	}
	out := maps.Clone(o)
	delete(out, "status")
	if kept := keptStatus(resource, o["status"]); len(kept) > 0 {
		out["status"] = kept
	}
	if metadata, ok := o["metadata"].(map[string]any); ok {
		out["metadata"] = keptMetadata(metadata)
	}
	return out
}

// keptStatus is the keep-list: the fields of status that routing reads.
func keptStatus(resource string, status any) map[string]any {
	fields, ok := status.(map[string]any)
	if !ok || resource != events.Services {
		return nil
	}
	kept := map[string]any{}
	if balancer, ok := fields["loadBalancer"].(map[string]any); ok && len(balancer) > 0 {
		kept["loadBalancer"] = balancer
	}
	return kept
}

func keptMetadata(metadata map[string]any) map[string]any {
	out := maps.Clone(metadata)
	delete(out, "managedFields")
	delete(out, "selfLink")
	if actor := lastActor(metadata["managedFields"]); actor != nil {
		out["managedFields"] = []any{actor}
	}
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		kept := maps.Clone(annotations)
		delete(kept, lastApplied)
		out["annotations"] = kept
		if len(kept) == 0 {
			delete(out, "annotations")
		}
	}
	return out
}

// JSON is the payload for a recorded object: keys sorted, no spaces.
func JSON(o map[string]any) ([]byte, error) {
	out, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode object: %w", err)
	}
	return out, nil
}

// Hash tells whether two recorded objects say the same: see [events.Content].
func Hash(o map[string]any) (routing.Digest, error) { return events.Content(o) }
