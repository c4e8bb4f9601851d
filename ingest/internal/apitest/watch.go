package apitest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// watch streams events, after the list of everything where the client asks for it.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, req request) {
	query := r.URL.Query()
	initial := query.Get("sendInitialEvents") == "true"
	from, _ := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	s.mu.Lock()
	compacted, old, generation := s.compacted, s.noWatchList, s.generation
	s.mu.Unlock()
	switch {
	case initial && old:
		status(w, http.StatusUnprocessableEntity, "Invalid", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch", req)
		return
	case !initial && from < compacted:
		status(w, http.StatusGone, "Expired", "too old resource version", req)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	stream := &stream{w: w, encoder: json.NewEncoder(w), request: req}
	if initial {
		if from = s.initial(stream); from == 0 {
			return
		}
	}
	stream.flush()
	s.follow(r, stream, from, generation)
}

// initial sends everything there is, and returns of which state that was; 0 for a
// list that is to break off.
func (s *Server) initial(stream *stream) uint64 {
	s.mu.Lock()
	items, revision := s.listed(stream.resource), s.revision
	breakAfter := len(items)
	broken := s.breakLists > 0
	if broken {
		s.breakLists--
		breakAfter = len(items) / 2
	}
	s.mu.Unlock()
	for _, o := range items[:breakAfter] {
		stream.send("ADDED", stream.form(o))
	}
	if broken {
		stream.flush()
		return 0
	}
	stream.bookmark(revision, true)
	return revision
}

// follow sends what happens after a revision, until the client goes or a fault
// ends it.
func (s *Server) follow(r *http.Request, stream *stream, from, generation uint64) {
	for {
		s.mu.Lock()
		changed, over, expired := s.changed, s.generation != generation, s.compacted > from
		var due []event
		for _, e := range s.history {
			if e.revision > from && e.resource == stream.resource {
				due = append(due, e)
			}
		}
		now := s.revision
		s.mu.Unlock()
		if expired {
			stream.send("ERROR", statusObject(http.StatusGone, "Expired", "too old resource version", stream.request))
			stream.flush()
			return
		}
		for _, e := range due {
			stream.send(e.kind, stream.form(e.object))
		}
		if over {
			stream.flush()
			return
		}
		if now > from {
			stream.bookmark(now, false)
			from = now
		}
		stream.flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-time.After(wait):
			return
		}
	}
}

// stream is the answer to a watch.
type stream struct {
	request
	w       http.ResponseWriter
	encoder *json.Encoder
}

func (s *stream) send(kind string, o object) {
	_ = s.encoder.Encode(object{"type": kind, "object": o}) // the client may be gone
}

func (s *stream) bookmark(revision uint64, end bool) {
	meta := object{"resourceVersion": strconv.FormatUint(revision, 10)}
	if end {
		meta["annotations"] = object{"k8s.io/initial-events-end": "true"}
	}
	o := object{"apiVersion": s.apiVersion(), "kind": "X", "metadata": meta}
	s.send("BOOKMARK", s.form(o))
}

func (r request) apiVersion() string {
	if r.group == "" {
		return r.version
	}
	return r.group + "/" + r.version
}

func (s *stream) flush() {
	if f, ok := s.w.(http.Flusher); ok {
		f.Flush()
	}
}

// Backup is the state of a server, for Restore.
type Backup struct {
	revision uint64
	objects  map[string]map[string]object
}

// Backup takes a backup.
func (s *Server) Backup() Backup {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Backup{revision: s.revision, objects: map[string]map[string]object{}}
	for resource, byName := range s.objects {
		out.objects[resource] = maps.Clone(byName)
	}
	return out
}

// Restore goes back to a backup, as a restored etcd does: resourceVersions too, and
// all watches end.
func (s *Server) Restore(b Backup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision, s.objects = b.revision, b.objects
	s.history = slices.DeleteFunc(s.history, func(e event) bool { return e.revision > b.revision })
	s.generation++
	s.wake()
}
