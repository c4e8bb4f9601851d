package history

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// blamed is a value, and what set it. One with fields or items has a mark in each of
// those.
type blamed struct {
	value any
	mark  *mark
	named map[string]*blamed
	items []*blamed
	// labels are what the items are called; those of a list that has no keys have none.
	labels []string
}

// blame is the value of a field, of which old was there before (nil for nothing), set
// by m as far as it differs.
func blame(old *blamed, field string, value any, m *mark) *blamed {
	if old == nil {
		old = &blamed{}
	} else if reflect.DeepEqual(old.value, value) {
		return old
	}
	out := &blamed{value: value, mark: m}
	switch v := value.(type) {
	case map[string]any:
		out.named = make(map[string]*blamed, len(v))
		for name, each := range v {
			out.named[name] = blame(old.named[name], name, each, m)
		}
	case []any:
		out.labels = labels(field, v)
		partners := pair(old.items, old.labels, v, out.labels)
		for i, each := range v {
			out.items = append(out.items, blame(partners[i], "", each, m))
		}
	}
	return out
}

// fields hands out those that have no fields of their own, in order.
func (b *blamed) fields(steps []string, take func(path string, leaf *blamed)) {
	if len(b.named)+len(b.items) == 0 {
		take(strings.Join(steps, "."), b)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(b.named)) {
		b.named[name].fields(append(slices.Clone(steps), name), take)
	}
	for i, item := range b.items {
		of := slices.Clone(steps)
		label := fmt.Sprint(i)
		if b.labels != nil {
			label = b.labels[i]
		}
		of[len(of)-1] += "[" + label + "]"
		item.fields(of, take)
	}
}

// labels are the keys by which the API, or the people who use it, tell the elements of
// a list apart; nil where they do not, or not all of them.
func labels(field string, list []any) []string {
	var out []string
	for _, element := range list {
		m, _ := element.(map[string]any)
		label := labelOf(field, m)
		if label == "" || slices.Contains(out, label) {
			return nil
		}
		out = append(out, label)
	}
	return out
}

func labelOf(field string, m map[string]any) string {
	label := show(m["name"])
	if namespace := show(m["namespace"]); namespace != "" && label != "" {
		label = namespace + "/" + label
	}
	if label == "" {
		return show(m["port"]) // of a Service with one port, which needs no name
	}
	if field == "parentRefs" { // one for each listener
		for _, part := range []string{"sectionName", "port"} {
			if value := show(m[part]); value != "" {
				label += " " + value
			}
		}
	}
	return label
}

// pair finds for each element of a list the one that it was before: that of its
// label, or where there are none, of what is the same in both in its order, and of the
// rest what stands in the same gap.
func pair(old []*blamed, oldLabels []string, list []any, newLabels []string) []*blamed {
	out := make([]*blamed, len(list))
	if oldLabels != nil && newLabels != nil {
		for i, label := range newLabels {
			if j := slices.Index(oldLabels, label); j >= 0 {
				out[i] = old[j]
			}
		}
		return out
	}
	i, j := 0, 0
	gap := func(toOld, toNew int) {
		for ; i < toOld && j < toNew; i, j = i+1, j+1 {
			out[j] = old[i]
		}
		i, j = toOld, toNew
	}
	same(len(old), len(list), func(i, j int) bool { return reflect.DeepEqual(old[i].value, list[j]) }, func(atOld, atNew int) {
		gap(atOld, atNew)
		out[j] = old[i]
		i, j = i+1, j+1
	})
	gap(len(old), len(list))
	return out
}

// same hands out a longest common subsequence of two lists, as pairs of places. It
// takes time and space in the product of the two lengths.
func same(n, m int, equal func(i, j int) bool, take func(i, j int)) {
	common := make([][]int, n+1) // of what lies from (i, j) on
	for i := range common {
		common[i] = make([]int, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if equal(i, j) {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < n && j < m; {
		switch {
		case equal(i, j):
			take(i, j)
			i, j = i+1, j+1
		case common[i+1][j] >= common[i][j+1]:
			i++
		default:
			j++
		}
	}
}
