package manifests

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// readAhead bounds the text, and partObjects and partBytes the objects, that are
// in memory at a time.
const (
	readAhead   = 4 << 20
	partObjects = 500
	partBytes   = 4 << 20
)

// readPending reads the files that are due, and decodes them a few at a time:
// what remains of a text is much less.
func (r *Reader) readPending(now time.Time) {
	var files []content
	size := 0
	decode := func() {
		for _, u := range r.set.read(r.decoder, files) {
			r.ready[u.path] = u
		}
		files, size = nil, 0
	}
	for _, name := range slices.Sorted(maps.Keys(r.pending)) {
		a := r.pending[name]
		if a.at.After(now) {
			continue
		}
		if data, ok := r.read(name, a, now); ok {
			files, size = append(files, content{path: name, data: data}), size+len(data)
		}
		if size >= readAhead {
			decode()
		}
	}
	decode()
}

// part is the next of what is to be handed on.
func (r *Reader) part() (Changes, error) {
	n, size := 0, 0
	for n < min(len(r.rest.Applied), partObjects) && size < partBytes {
		size += len(r.rest.Applied[n].encoded)
		n++
	}
	objects := slices.Clone(r.rest.Applied[:n])
	for i := range objects {
		var err error
		if objects[i].Object, err = parse(objects[i].encoded); err != nil {
			return Changes{}, fmt.Errorf("hand on %s: %w", objects[i].Key, err)
		}
		objects[i].encoded = nil
	}
	clear(r.rest.Applied[:n])
	if r.rest.Applied = r.rest.Applied[n:]; len(r.rest.Applied) > 0 {
		return Changes{Applied: objects, More: true}, nil
	}
	last := r.rest
	last.Applied, r.rest = objects, Changes{}
	return last, nil
}
