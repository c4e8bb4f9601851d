package kube

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/rutter-gateway/rutter/events"
)

// entry is what is known of one object.
type entry struct {
	uid        string
	generation int64
	version    string // resourceVersion
	status     []byte // JSON, as the API server wrote it
}

func newEntry(o *object) entry {
	return entry{uid: string(o.UID), generation: o.Generation, version: o.ResourceVersion, status: slices.Clip(o.Status)}
}

// cache is the newest that is known of each object, from the watches and from
// the answers to our own writes, whichever is later.
type cache struct {
	mu      sync.Mutex
	objects map[events.Key]entry
	listed  map[string]bool // resources
	// changed are the objects whose status is another one since [cache.take], by
	// somebody else's hand; wake holds a token when there are any.
	changed map[events.Key]struct{}
	wake    chan struct{}
}

func newCache() *cache {
	return &cache{
		objects: map[events.Key]entry{}, listed: map[string]bool{},
		changed: map[events.Key]struct{}{}, wake: make(chan struct{}, 1),
	}
}

func (c *cache) get(key events.Key) (entry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.objects[key]
	return e, ok
}

// wrote takes the answer to a write of ours, or to a read: nobody has to look.
func (c *cache) wrote(key events.Key, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, ok := c.objects[key]; !ok || !older(e.version, before.version) {
		c.objects[key] = e
	}
}

// observe takes what a watch says. It can be older than the answer to a write.
func (c *cache) observe(key events.Key, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, ok := c.objects[key]
	if ok && older(e.version, before.version) {
		return
	}
	c.put(key, e)
}

// put replaces an entry; the caller holds mu.
func (c *cache) put(key events.Key, e entry) {
	before, ok := c.objects[key]
	if ok && bytes.Equal(before.status, e.status) {
		e.status = before.status // one copy less to collect
	}
	c.objects[key] = e
	if ok && before.uid == e.uid && bytes.Equal(before.status, e.status) {
		return
	}
	c.changed[key] = struct{}{}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// remove takes that an object went, at version.
func (c *cache) remove(key events.Key, version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.objects[key]; ok && !older(version, e.version) {
		delete(c.objects, key)
	}
}

// replace takes a whole list of a resource. It counts whatever its versions are:
// they go backwards when the API server was restored from a backup.
func (c *cache) replace(resource string, all map[events.Key]entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listed[resource] = true
	maps.DeleteFunc(c.objects, func(key events.Key, _ entry) bool {
		_, ok := all[key]
		return key.Resource == resource && !ok
	})
	for key, e := range all {
		c.put(key, e)
	}
}

// take is what has changed since the last call.
func (c *cache) take() []events.Key {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := slices.Collect(maps.Keys(c.changed))
	clear(c.changed)
	return keys
}

// older tells whether a resourceVersion is before another one of the same
// resource. Where they cannot be compared (before Kubernetes 1.35), what comes
// later counts.
func older(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order < 0
}
