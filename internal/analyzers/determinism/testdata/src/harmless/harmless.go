// Package harmless loops over maps in ways that give one result.
package harmless

import (
	"fmt"
	"maps"
	"slices"
	"sort"
)

type index struct {
	names []string
	total int
	byKey map[string][]string
}

type pair struct{ a, b string }

func sorted(m map[string]int) []string {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Println(k)
	}
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int { return m[a] - m[b] })
}

func sortedAfter(m map[string]map[string]bool) []string {
	var keys, inner []string
	for k, set := range m {
		keys = append(keys, k)
		for name := range set {
			inner = append(inner, name)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	sort.Strings(keys)
	slices.Sort(inner)
	return append(keys, inner...)
}

func collected(m, n map[string]int) []string {
	keys := slices.Collect(maps.Keys(m))
	keys = slices.AppendSeq(keys, maps.Keys(n))
	slices.Sort(keys)
	return keys
}

func (x *index) fields(m map[string]int) {
	for k, v := range m {
		if _, ok := x.byKey[k]; !ok {
			continue
		}
		x.names = append(x.names, k)
		x.total += v
		x.byKey[k] = append(x.byKey[k], k)
	}
	slices.Sort(x.names)
}

func prune(m map[string]int) {
	for k, v := range m {
		if v == 0 {
			delete(m, k)
		}
	}
}

func filled(m map[string]int) (map[string]int, map[pair]bool, map[int]bool) {
	copied, pairs, values := map[string]int{}, map[pair]bool{}, map[int]bool{}
	for k, v := range m {
		copied[k] = v + 1
		pairs[pair{a: k, b: "x"}] = v > 0
		values[v] = true
	}
	return copied, pairs, values
}

func counted(m map[string]int) (n, sum, most int) {
	for _, v := range m {
		n++
		sum += v
		most = max(most, v)
	}
	return n, sum, most
}

func anyMatches(m map[string]int) bool {
	for _, v := range m {
		if v > 3 {
			return true
		}
	}
	return false
}

func found(m map[string]int) (found bool) {
	for _, v := range m {
		if v > 3 {
			found = true
			break
		}
	}
	return found
}

func perIteration(m map[string][]string) map[string]map[string]int {
	out := map[string]map[string]int{}
	for k, names := range m {
		counts := make(map[string]int)
		text := ""
		for _, name := range names {
			if name == "stop" {
				break
			}
			counts[name]++
			text += name
		}
		counts[text] = 1
		out[k] = counts
	}
	return out
}

func excused(m map[string]int) {
	//determinism: printed for a person, who does not compare
	for k := range m {
		fmt.Println(k)
	}
	for k := range m { //determinism: printed for a person, too
		fmt.Println(k)
	}
}

func asMany(m map[string]int, print func()) {
	for range m {
		print()
	}
}

//determinism: left over from a loop that went away // want `the comment //determinism: excuses no loop over a map`
