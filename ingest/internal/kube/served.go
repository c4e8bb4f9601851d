package kube

import (
	"maps"
	"slices"
	"sync"
)

// served is which custom kinds the API server serves, and in which version.
type served struct {
	mu       sync.Mutex
	known    bool              // whether the definitions are known at all
	versions map[string]string // by the name of the definition
	listed   map[string]bool   // those of a list that is not complete yet
	changed  chan struct{}
}

func newServed() *served {
	return &served{versions: map[string]string{}, changed: make(chan struct{})}
}

// version is in which version a kind is served: "" for not at all. Changed is closed
// when that may have changed; while known is false nothing is known.
func (s *served) version(k kind) (version string, known bool, changed <-chan struct{}) {
	if !k.custom {
		return k.recorded(), true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versions[k.definition()], s.known, s.changed
}

// set takes over a definition; version "" is none that serves anything.
func (s *served) set(definition, version string) {
	s.change(func() {
		s.versions[definition] = version
		if s.listed != nil {
			s.listed[definition] = true
		}
	})
}

// begin begins a list of all definitions that exist.
func (s *served) begin() { s.change(func() { s.listed = map[string]bool{} }) }

// complete ends it: what it did not find is not there.
func (s *served) complete() {
	s.change(func() {
		maps.DeleteFunc(s.versions, func(definition, _ string) bool { return !s.listed[definition] })
		s.known, s.listed = true, nil
	})
}

// assume is for who may not read definitions: every kind is tried.
func (s *served) assume(all []kind) {
	s.change(func() {
		if s.known {
			return
		}
		s.known = true
		for _, k := range all {
			s.versions[k.definition()] = k.recorded()
		}
	})
}

func (s *served) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

// servedVersion is the version of a definition to ask for: v1, or else the one nearest
// to it.
func servedVersion(definition map[string]any) string {
	status, _ := definition["status"].(map[string]any)
	conditions, _ := status["conditions"].([]any)
	established := slices.ContainsFunc(conditions, func(c any) bool {
		condition, _ := c.(map[string]any)
		return condition["type"] == "Established" && condition["status"] == "True"
	})
	if !established {
		return ""
	}
	spec, _ := definition["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	var names []string
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if name, ok := version["name"].(string); ok && version["served"] == true {
			names = append(names, name)
		}
	}
	for _, name := range []string{"v1", "v1beta1", "v1alpha3", "v1alpha2", "v1alpha1"} {
		if slices.Contains(names, name) {
			return name
		}
	}
	return ""
}
