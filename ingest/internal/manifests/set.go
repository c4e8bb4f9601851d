package manifests

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
)

// set knows what every file says and which objects are in force. It reads no
// files and no clock.
//
// A document claims the object it is about, whether it is accepted or refused.
// The first claim in (file, document) order decides: an accepted document puts
// its object in force, a refused one leaves what is in force. A file that cannot
// be understood holds the objects it had without claiming them. An object that is
// neither claimed nor held has vanished, and is deleted after the settle time.
type set struct {
	settle   time.Duration
	files    map[string]*file
	troubled map[*file]bool // those with problems
	objects  map[events.Key]*standing
	// compared is the content of what is in force, where it is compared with the next.
	compared map[events.Key][]byte
	// accepted are, by Text, the documents that were accepted before this reader.
	accepted map[routing.Digest]Accepted
	vanished map[events.Key]time.Time // when it is to be deleted
	wanted   map[string]bool          // files to read again, for an object that they have
}

// standing is how an object stands.
type standing struct {
	claims []*slot // in order
	held   int32   // by so many files
	// inForce is set where there is a good version of it, with this hash.
	inForce bool
	hash    routing.Digest
}

func newSet(settle time.Duration, recorded []Recorded, accepted []Accepted) (*set, error) {
	s := &set{
		settle:   settle,
		files:    map[string]*file{},
		troubled: map[*file]bool{},
		objects:  make(map[events.Key]*standing, len(recorded)),
		compared: map[events.Key][]byte{},
		accepted: make(map[routing.Digest]Accepted, len(accepted)),
		vanished: map[events.Key]time.Time{},
		wanted:   map[string]bool{},
	}
	for _, a := range accepted {
		s.accepted[a.Text] = a
	}
	for _, r := range recorded {
		if r.Object != nil {
			var err error
			if s.compared[r.Key], err = normalize.JSON(r.Object); err != nil {
				return nil, fmt.Errorf("take over %s: %w", r.Key, err)
			}
		}
		s.objects[r.Key] = &standing{inForce: true, hash: r.Hash}
		s.vanished[r.Key] = time.Time{} // unless a file claims or holds it
		f := s.file(r.File)
		f.lost = append(f.lost, r.Key)
	}
	return s, nil
}

func (s *set) file(path string) *file {
	f, ok := s.files[path]
	if !ok {
		f = &file{path: path}
		s.files[path] = f
	}
	return f
}

// apply takes over what changed in files and deletes what has been gone for long
// enough.
func (s *set) apply(updates []update, now time.Time) Changes {
	var out Changes
	touched := map[*file]bool{}
	dirty := map[events.Key]bool{}
	slices.SortFunc(updates, func(a, b update) int { return cmp.Compare(a.path, b.path) })
	for _, u := range updates {
		touched[s.file(u.path)] = true
		s.place(u, dirty)
	}
	for key := range dirty {
		if object, ok := s.resolve(key, now); ok {
			out.Applied = append(out.Applied, object)
		}
		if o := s.objects[key]; o != nil {
			for _, claim := range o.claims {
				touched[claim.file] = true
			}
		}
	}
	out.Deleted = s.expire(now)
	for _, f := range slices.SortedFunc(maps.Keys(touched), func(a, b *file) int { return cmp.Compare(a.path, b.path) }) {
		f.report(&out)
		if len(f.problems) > 0 {
			s.troubled[f] = true
		} else {
			delete(s.troubled, f)
		}
	}
	out.sort()
	return out
}

// place replaces what a file says, and marks the objects that this concerns.
func (s *set) place(u update, dirty map[events.Key]bool) {
	f := s.files[u.path]
	before := f.keys()
	for _, key := range f.lost {
		if _, pending := s.vanished[key]; pending { // an editor may just be replacing the file
			before[key] = true
		}
	}
	for _, claim := range f.slots {
		if key := claim.verdict.key; key != (events.Key{}) {
			o := s.objects[key]
			o.claims = slices.DeleteFunc(o.claims, func(c *slot) bool { return c == claim })
		}
	}
	for key := range f.held {
		s.objects[key].held--
	}
	f.replace(u, before, s.known)
	for _, claim := range f.slots {
		if key := claim.verdict.key; key != (events.Key{}) {
			o := s.standing(key)
			at, _ := slices.BinarySearchFunc(o.claims, claim, (*slot).compare)
			o.claims = slices.Insert(o.claims, at, claim)
		}
	}
	for key := range f.held {
		s.standing(key).held++
	}
	after := f.keys()
	f.lost = nil
	for key := range before {
		dirty[key] = true
		if !after[key] {
			f.lost = append(f.lost, key)
		}
	}
	for key := range after {
		dirty[key] = true
	}
}

// standing is that of an object, made where it is missing.
func (s *set) standing(key events.Key) *standing {
	o := s.objects[key]
	if o == nil {
		o = &standing{}
		s.objects[key] = o
	}
	return o
}

// known tells whether a version of an object is in force.
func (s *set) known(key events.Key) bool {
	o := s.objects[key]
	return o != nil && o.inForce
}

// resolve decides about one object. It returns the object if it is to be applied.
func (s *set) resolve(key events.Key, now time.Time) (Object, bool) {
	o := s.objects[key]
	if o == nil || len(o.claims) == 0 {
		s.release(key, o, now)
		return Object{}, false
	}
	delete(s.vanished, key)
	owner := o.claims[0]
	for _, claim := range o.claims {
		claim.problem = claim.verdict.refused
		if claim != owner && claim.verdict.accepted() {
			claim.problem = fmt.Sprintf("%s is already defined in %s", describe(key), owner.source())
		}
	}
	object, applied := s.enforce(o, owner)
	for _, claim := range o.claims {
		if !claim.verdict.compares() {
			claim.verdict.object = nil
		}
	}
	return object, applied
}

// enforce puts what the owner of an object says in force, if that is new. Where
// its content is not at hand the file is read again, and this comes up again.
func (s *set) enforce(o *standing, owner *slot) (Object, bool) {
	v := owner.verdict
	switch {
	case !v.accepted() || o.inForce && o.hash == v.hash:
		return Object{}, false
	case v.object == nil:
		s.want(owner)
		return Object{}, false
	}
	if err := v.replace(s.compared[v.key]); err != nil {
		owner.problem = err.Error()
		return Object{}, false
	}
	o.inForce, o.hash = true, v.hash
	if v.compares() {
		s.compared[v.key] = v.object
	}
	return Object{Key: v.key, Hash: v.hash, Source: owner.source(), encoded: v.object}, true
}

// want asks for the file of a document to be read and the document to be decoded
// again: once, since it may have become unreadable.
func (s *set) want(c *slot) {
	if d := &c.file.documents[c.document-1]; d.digest != (routing.Digest{}) {
		d.digest = routing.Digest{}
		s.wanted[c.file.path] = true
	}
}

// release notes that nothing claims an object any more.
func (s *set) release(key events.Key, o *standing, now time.Time) {
	switch _, pending := s.vanished[key]; {
	case o == nil:
	case o.held > 0:
		delete(s.vanished, key)
	case !o.inForce:
		delete(s.objects, key)
	case !pending:
		s.vanished[key] = now.Add(s.settle)
	}
}

// expire deletes what has been gone for long enough.
func (s *set) expire(now time.Time) []events.Key {
	var out []events.Key
	for key, at := range s.vanished {
		if !at.After(now) {
			out = append(out, key)
			delete(s.vanished, key)
			delete(s.objects, key)
			delete(s.compared, key)
		}
	}
	if len(out) > 0 {
		maps.DeleteFunc(s.files, func(_ string, f *file) bool { return f.empty(s.vanished) })
	}
	return out
}

// postpone gives what is to be deleted by now another settle time.
func (s *set) postpone(now time.Time) {
	for key, at := range s.vanished {
		if !at.After(now) {
			s.vanished[key] = now.Add(s.settle)
		}
	}
}

// deadline is when the next object is to be deleted, if any is.
func (s *set) deadline() (first time.Time, pending bool) {
	for _, at := range s.vanished {
		if !pending || at.Before(first) {
			first, pending = at, true
		}
	}
	return first, pending
}

// problems are those of all files, in order.
func (s *set) problems() []Problem {
	var out []Problem
	for _, f := range slices.SortedFunc(maps.Keys(s.troubled), func(a, b *file) int { return cmp.Compare(a.path, b.path) }) {
		out = append(out, f.problems...)
	}
	return out
}
