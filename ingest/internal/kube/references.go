package kube

import (
	"sync"

	"github.com/rutter-gateway/rutter/events"
)

// references are the objects that are recorded because something refers to them.
// Once wanted, an object stays so: what is recorded has to be followed.
type references struct {
	mu      sync.Mutex
	fetched map[events.Key]string // wanted objects → the resourceVersion fetched last
}

func newReferences() *references { return &references{fetched: map[events.Key]string{}} }

// want adds keys, and returns those that were not wanted before.
func (r *references) want(keys ...events.Key) []events.Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	var fresh []events.Key
	for _, key := range keys {
		if _, ok := r.fetched[key]; !ok {
			r.fetched[key] = ""
			fresh = append(fresh, key)
		}
	}
	return fresh
}

// forget takes back want, where fetching did not work out.
func (r *references) forget(keys ...events.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		delete(r.fetched, key)
	}
}

func (r *references) wanted(key events.Key) bool {
	if isDefinition(key) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.fetched[key]
	return ok
}

// have tells whether exactly this state of an object was fetched already.
func (r *references) have(key events.Key, resourceVersion string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return resourceVersion != "" && r.fetched[key] == resourceVersion
}

func (r *references) note(key events.Key, resourceVersion string) {
	if isDefinition(key) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetched[key] = resourceVersion
}
