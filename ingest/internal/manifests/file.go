package manifests

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// file is what one file says.
type file struct {
	path      string
	documents []document
	slots     []*slot
	// failure says why the file cannot be read; documents are then those of before.
	failure string
	// held are objects that the file may still be about, see replace.
	held map[events.Key]bool
	// lost are the objects that the last change of the file took away.
	lost []events.Key

	problems []Problem
	notices  []Notice
}

// document is a document with the verdicts on it.
type document struct {
	digest   routing.Digest
	line     int
	verdicts []*verdict
}

// slot is the place of one verdict in a file.
type slot struct {
	file     *file
	document int32 // from 1
	item     int32 // within a list
	line     int32
	verdict  *verdict
	problem  string
	// renamed is the object that stood here before a document was renamed and
	// refused in one go; nil for none.
	renamed *events.Key
}

func (c *slot) source() Source {
	return Source{File: c.file.path, Document: int(c.document), Line: int(c.line)}
}

func (c *slot) compare(o *slot) int {
	return cmp.Or(cmp.Compare(c.file.path, o.file.path), cmp.Compare(c.document, o.document), cmp.Compare(c.item, o.item))
}

// update is new knowledge about a file: its documents (none if it is gone), or
// that it cannot be read.
type update struct {
	path      string
	documents []document
	failure   string
}

// replace takes over an update. before are the objects that the file was about;
// those that it may still be about are held:
//
//   - all of them while some document does not say what it is about, since it may
//     be any of them;
//   - the object that stood where there is now a refused document about an object
//     that never was: a rename with a mistake in it.
func (f *file) replace(u update, before map[events.Key]bool, known func(events.Key) bool) {
	f.failure = u.failure
	old := f.slots
	if u.failure == "" {
		f.documents, f.slots = u.documents, nil
		for i, d := range u.documents {
			for j, v := range d.verdicts {
				f.slots = append(f.slots, &slot{file: f, document: int32(i + 1), item: int32(j), line: int32(d.line), verdict: v, problem: v.refused})
			}
		}
	}
	f.held = nil
	unclear := u.failure != ""
	claimed := map[events.Key]bool{}
	for _, c := range f.slots {
		claimed[c.verdict.key] = true
		unclear = unclear || c.verdict.refused != "" && c.verdict.key == (events.Key{})
	}
	for i, c := range f.slots {
		if c.verdict.refused == "" || known(c.verdict.key) || i >= len(old) {
			continue
		}
		if c.renamed = &old[i].verdict.key; claimed[*c.renamed] || !before[*c.renamed] {
			c.renamed = old[i].renamed
		}
		if c.renamed != nil && !claimed[*c.renamed] && before[*c.renamed] {
			f.hold(*c.renamed)
		}
	}
	for key := range before {
		if unclear && !claimed[key] {
			f.hold(key)
		}
	}
}

func (f *file) hold(key events.Key) {
	if f.held == nil {
		f.held = map[events.Key]bool{}
	}
	f.held[key] = true
}

// keys are the objects that the file claims or holds.
func (f *file) keys() map[events.Key]bool {
	out := make(map[events.Key]bool, len(f.slots)+len(f.held))
	for _, c := range f.slots {
		if c.verdict.key != (events.Key{}) {
			out[c.verdict.key] = true
		}
	}
	for key := range f.held {
		out[key] = true
	}
	return out
}

// empty tells whether nothing need be remembered of the file.
func (f *file) empty(vanished map[events.Key]time.Time) bool {
	pending := slices.ContainsFunc(f.lost, func(key events.Key) bool { _, ok := vanished[key]; return ok })
	return len(f.slots) == 0 && f.failure == "" && !pending
}

// report adds to out what is wrong with the file now and was not before.
func (f *file) report(out *Changes) {
	var problems []Problem
	var notices []Notice
	if f.failure != "" {
		problems = append(problems, Problem{Source: Source{File: f.path}, Message: f.failure})
	}
	for _, c := range f.slots {
		switch {
		case c.problem != "":
			problems = append(problems, Problem{Source: c.source(), Key: c.verdict.key, Message: c.problem})
		case c.verdict.ignored != "":
			notices = append(notices, Notice{Source: c.source(), Message: c.verdict.ignored})
		}
	}
	out.Problems = append(out.Problems, without(problems, f.problems)...)
	out.Notices = append(out.Notices, without(notices, f.notices)...)
	f.problems, f.notices = problems, notices
}

// without is what is in all and not in known.
func without[T comparable](all, known []T) []T {
	seen := make(map[T]bool, len(known))
	for _, k := range known {
		seen[k] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(t T) bool { return seen[t] })
}

// content is a file as it was read.
type content struct {
	path string
	data []byte
}

// read decodes files, documents in parallel. A document that stood in the same
// file before and was not refused is not decoded again.
func (s *set) read(d *decoder, files []content) []update {
	out := make([]update, len(files))
	var work []func()
	for i, c := range files {
		known := map[routing.Digest][]*verdict{}
		if f, ok := s.files[c.path]; ok {
			for _, doc := range f.documents {
				known[doc.digest] = doc.verdicts
			}
		}
		texts := split(c.path, c.data)
		out[i] = update{path: c.path, documents: make([]document, len(texts))}
		for j, t := range texts {
			doc := &out[i].documents[j]
			doc.digest, doc.line = t.digest(), t.line
			doc.verdicts = known[doc.digest]
			if doc.verdicts == nil {
				doc.verdicts = s.acceptedBefore(t, doc.digest)
			}
			// The words of a refusal may name lines, which move.
			if len(doc.verdicts) == 0 || slices.ContainsFunc(doc.verdicts, func(v *verdict) bool { return v.refused != "" }) {
				work = append(work, func() { doc.verdicts = d.decode(t) })
			}
		}
	}
	inParallel(work)
	return out
}

// inParallel runs all of work on every processor and waits for it.
func inParallel(work []func()) {
	var next atomic.Int64
	var workers sync.WaitGroup
	run := func() {
		for i := next.Add(1) - 1; int(i) < len(work); i = next.Add(1) - 1 {
			work[i]()
		}
	}
	for range min(runtime.GOMAXPROCS(0), len(work)) - 1 {
		workers.Go(run)
	}
	run()
	workers.Wait()
}
