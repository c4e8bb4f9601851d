package kube

import (
	"bytes"
	"encoding/json"
)

// graft is the JSON of a status after a change, with everything that the change
// did not touch as it is in raw. before and after are the same status before and
// after the change as this build reads it, which may be less than raw holds.
func graft(raw, before, after json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return after, nil
	}
	if bytes.Equal(before, after) {
		return raw, nil
	}
	switch {
	case isA('{', raw, before, after):
		return graftObject(raw, before, after)
	case isA('[', raw, before, after):
		return graftList(raw, before, after)
	}
	return after, nil
}

func isA(begin byte, all ...json.RawMessage) bool {
	for _, value := range all {
		if len(value) == 0 || value[0] != begin {
			return false
		}
	}
	return true
}

// graftObject keeps the fields that this build does not know.
func graftObject(raw, before, after json.RawMessage) (json.RawMessage, error) {
	all, err := decodeEach[map[string]json.RawMessage](raw, before, after)
	if err != nil {
		return nil, err
	}
	r, b, out := all[0], all[1], all[2]
	for name, value := range r {
		changed, ok := out[name]
		if !ok {
			if _, known := b[name]; !known {
				out[name] = value
			}
			continue
		}
		if out[name], err = graft(value, b[name], changed); err != nil {
			return nil, err
		}
	}
	return encode(out)
}

// graftList finds each element again: one that did not change by its content, one
// that did by what names it.
func graftList(raw, before, after json.RawMessage) (json.RawMessage, error) {
	all, err := decodeEach[[]json.RawMessage](raw, before, after)
	if err != nil {
		return nil, err
	}
	r, b, out := all[0], all[1], all[2]
	used := make([]bool, min(len(r), len(b)))
	find := func(same func(int) bool) int {
		for i := range used {
			if !used[i] && same(i) {
				used[i] = true
				return i
			}
		}
		return -1
	}
	for j, element := range out {
		if i := find(func(i int) bool { return bytes.Equal(b[i], element) }); i >= 0 {
			out[j] = r[i]
			continue
		}
		name := nameOf(element)
		if i := find(func(i int) bool { return name != "" && nameOf(b[i]) == name }); i >= 0 {
			if out[j], err = graft(r[i], b[i], element); err != nil {
				return nil, err
			}
		}
	}
	return encode(out)
}

// nameOf is what tells the elements of a list apart: conditions have a type,
// listeners and features a name, parents and ancestors a controller and a reference.
func nameOf(element json.RawMessage) string {
	var name struct {
		Type           string          `json:"type,omitempty"`
		Name           string          `json:"name,omitempty"`
		Value          string          `json:"value,omitempty"`
		ControllerName string          `json:"controllerName,omitempty"`
		ParentRef      json.RawMessage `json:"parentRef,omitempty"`
		AncestorRef    json.RawMessage `json:"ancestorRef,omitempty"`
	}
	if err := json.Unmarshal(element, &name); err != nil {
		return "" // a string or a number is what it is
	}
	out, err := json.Marshal(name)
	if err != nil || string(out) == "{}" {
		return ""
	}
	return string(out)
}

func decodeEach[T any](values ...json.RawMessage) ([]T, error) {
	out := make([]T, len(values))
	for i, value := range values {
		if err := json.Unmarshal(value, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// encode is the JSON of v, in which no character is written another way.
func encode(v any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
