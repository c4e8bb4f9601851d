package route

import "slices"

// set is one that is small for most and large for a few. The zero value is empty,
// and so is nil to those that only read.
type set[T comparable] struct {
	few  []T
	many map[T]struct{}
}

const fewMembers = 8

func (s *set[T]) len() int {
	if s == nil {
		return 0
	}
	return len(s.few) + len(s.many)
}

func (s *set[T]) add(v T) {
	switch {
	case s.many != nil:
		s.many[v] = struct{}{}
	case slices.Contains(s.few, v):
	case len(s.few) < fewMembers:
		s.few = append(s.few, v)
	default:
		s.many = map[T]struct{}{v: {}}
		for _, f := range s.few {
			s.many[f] = struct{}{}
		}
		s.few = nil
	}
}

func (s *set[T]) remove(v T) {
	if s.many != nil {
		delete(s.many, v)
		return
	}
	if i := slices.Index(s.few, v); i >= 0 {
		s.few = slices.Delete(s.few, i, i+1)
	}
}

// each calls do for every member, in no order.
func (s *set[T]) each(do func(T)) {
	if s == nil {
		return
	}
	for _, v := range s.few {
		do(v)
	}
	for v := range s.many { //determinism: what is done to each is sorted before it shows
		do(v)
	}
}
