package events

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
)

// Content tells whether two recorded forms of an object say the same: the SHA-256 of
// the payload, without the metadata that is assigned to an object rather than written
// by anyone (uid, resourceVersion, generation, creationTimestamp, managedFields), and
// without the sealed key of a Secret, since sealing is randomised.
func Content(object map[string]any) ([sha256.Size]byte, error) {
	object = WithoutAssigned(object)
	if pair, ok := object["keyPair"].(map[string]any); ok {
		pair = maps.Clone(pair)
		delete(pair, "sealedKey")
		delete(pair, "sealedDigest") // of one that was left out
		object["keyPair"] = pair
	}
	payload, err := json.Marshal(object)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("encode object: %w", err)
	}
	return sha256.Sum256(payload), nil
}

// WithoutAssigned is an object without the metadata that is assigned to it rather than
// written by anyone: it changes with every change.
func WithoutAssigned(object map[string]any) map[string]any {
	object = maps.Clone(object)
	if metadata, ok := object["metadata"].(map[string]any); ok {
		metadata = maps.Clone(metadata)
		for _, assigned := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"} {
			delete(metadata, assigned)
		}
		object["metadata"] = metadata
	}
	return object
}
