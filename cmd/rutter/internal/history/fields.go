package history

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Field is one value that changed. Before or After is "" where there was, or is, none.
type Field struct {
	Path   string `json:"path"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// String is "path: before → after".
func (f Field) String() string {
	switch {
	case f.Before == "":
		return f.Path + ": + " + f.After
	case f.After == "":
		return f.Path + ": - " + f.Before
	}
	return f.Path + ": " + f.Before + " → " + f.After
}

// Short is the field with the last two steps of its path only.
func (f Field) Short() string {
	steps := strings.Split(f.Path, ".")
	if len(steps) > 2 {
		f.Path = strings.Join(steps[len(steps)-2:], ".")
	}
	return f.String()
}

// assigned is the metadata that nobody writes: it changes with every change.
func assigned() []string {
	return []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}
}

// compare is what turns one recorded form of an object into the next, in the
// order of the paths.
func compare(before, after map[string]any) []Field {
	var out []Field
	compareValues("", withoutAssigned(before), withoutAssigned(after), &out)
	return out
}

func withoutAssigned(o map[string]any) map[string]any {
	o = maps.Clone(o)
	if m, ok := o["metadata"].(map[string]any); ok {
		m = maps.Clone(m)
		for _, name := range assigned() {
			delete(m, name)
		}
		o["metadata"] = m
	}
	return o
}

func compareValues(path string, before, after any, out *[]Field) {
	if reflect.DeepEqual(before, after) {
		return
	}
	switch a := after.(type) {
	case map[string]any:
		if b, ok := before.(map[string]any); ok {
			keys := maps.Clone(a)
			maps.Copy(keys, b)
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				compareValues(strings.TrimPrefix(path+"."+key, "."), b[key], a[key], out)
			}
			return
		}
	case []any:
		if b, ok := before.([]any); ok {
			for i := range max(len(a), len(b)) {
				compareValues(fmt.Sprintf("%s[%d]", path, i), element(b, i), element(a, i), out)
			}
			return
		}
	}
	*out = append(*out, Field{Path: path, Before: show(before), After: show(after)})
}

func element(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// show is a value as JSON, strings without quotes.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

func metadata(o map[string]any) map[string]any {
	m, _ := o["metadata"].(map[string]any)
	return m
}

// manager is the field manager that wrote an object last, where it was recorded.
func manager(o map[string]any) string {
	fields, _ := metadata(o)["managedFields"].([]any)
	name, latest := "", ""
	for _, f := range fields {
		entry, _ := f.(map[string]any)
		at, _ := entry["time"].(string)
		if by, ok := entry["manager"].(string); ok && at >= latest && entry["subresource"] == nil {
			name, latest = by, at
		}
	}
	return name
}
