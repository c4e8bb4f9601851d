package history

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rutter-gateway/rutter/events"
)

// Field is one value that changed. Before or After is "" where there was, or is, none.
type Field struct {
	Path   string `json:"path"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// steps are those of Path: a step may have dots of its own.
	steps []string
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

// Short is the field in so many characters: what it became, rather than where it
// is or what it was. A value that does not fit is not cut, it is only said to have
// changed.
func (f Field) Short(most int) string {
	fits := func(s string) bool { return utf8.RuneCountInString(s) <= most && !strings.Contains(s, "\n") }
	for _, steps := range []int{2, 1} {
		f.Path = strings.Join(f.steps[max(0, len(f.steps)-steps):], ".")
		if s := f.String(); fits(s) {
			return s
		}
	}
	if s := f.Path + ": → " + f.After; f.After != "" && fits(s) {
		return s
	}
	switch {
	case f.Before == "":
		return f.Path + " added"
	case f.After == "":
		return f.Path + " removed"
	}
	return f.Path + " changed"
}

// FieldsThatDiffer are those in which two recorded forms of an object, as JSON, differ;
// none where one cannot be read.
func FieldsThatDiffer(before, after []byte) []Field {
	var a, b map[string]any
	if json.Unmarshal(before, &a) != nil || json.Unmarshal(after, &b) != nil {
		return nil
	}
	return compare(a, b)
}

// compare is what turns one recorded form of an object into the next, in the
// order of the paths.
func compare(before, after map[string]any) []Field {
	var out []Field
	compareValues(nil, events.WithoutAssigned(before), events.WithoutAssigned(after), &out)
	return out
}

func compareValues(steps []string, before, after any, out *[]Field) {
	if reflect.DeepEqual(before, after) {
		return
	}
	switch a := after.(type) {
	case map[string]any:
		if b, ok := before.(map[string]any); ok {
			keys := maps.Clone(a)
			maps.Copy(keys, b)
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				compareValues(append(slices.Clone(steps), key), b[key], a[key], out)
			}
			return
		}
	case []any:
		if b, ok := before.([]any); ok {
			for i := range max(len(a), len(b)) {
				of := slices.Clone(steps)
				of[len(of)-1] += fmt.Sprintf("[%d]", i)
				compareValues(of, element(b, i), element(a, i), out)
			}
			return
		}
	}
	*out = append(*out, Field{Path: strings.Join(steps, "."), Before: show(before), After: show(after), steps: steps})
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
