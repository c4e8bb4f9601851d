// Package maporder lets the order of a map reach its results.
package maporder

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func collect(m map[string]int) (keys []string) {
	for k := range m { // want `collects keys in the order of a map and does not sort it right after`
		keys = append(keys, k)
	}
	return keys
}

func sortTooLate(m map[string]int) string {
	var keys []string
	for k := range m { // want `collects keys in the order of a map and does not sort it right after`
		keys = append(keys, k)
	}
	joined := strings.Join(keys, ",")
	slices.Sort(keys)
	return joined
}

func join(m map[string]int) (s string) {
	for k := range m { // want `only integers add up to the same in any order`
		s += k
	}
	return s
}

func average(m map[string]float64) (sum float64) {
	for _, v := range m { // want `only integers add up to the same in any order`
		sum += v
	}
	return sum
}

func printAll(m map[string]int) {
	for k, v := range m { // want `it calls a function for its effect`
		fmt.Println(k, v)
	}
}

func anyKey(m map[string]int) string {
	for k := range m { // want `it returns what it happens to find first`
		return k
	}
	return ""
}

func firstOf(m map[string]int) bool {
	for k := range m { // want `it returns what it happens to find first`
		if k == "yes" {
			return true
		}
		if k == "no" {
			return false
		}
	}
	return false
}

func last(m map[string]int) (found int) {
	for _, v := range m { // want `it keeps what it happens to see last`
		found = v
	}
	return found
}

func numbered(m map[string]int) map[string]int {
	numbers, n := map[string]int{}, 0
	for k := range m { // want `it reads n, which other iterations change`
		n++
		numbers[k] = n
	}
	return numbers
}

func inverted(m map[string]int) map[int]string {
	out := map[int]string{}
	for k, v := range m { // want `it keeps what it happens to see last`
		out[v] = k
	}
	return out
}

func grouped(m map[string]int) map[int][]string {
	out := map[int][]string{}
	for k, v := range m { // want `it keeps what it happens to see last`
		out[v] = append(out[v], k)
	}
	return out
}

func firstWins(m map[string]int) (n int) {
	seen := map[int]bool{}
	for _, v := range m { // want `it reads seen, which other iterations change`
		if !seen[v] {
			seen[v] = true
			n += v
		}
	}
	return n
}

func some(m map[string]int, limit int) map[string]int {
	out := map[string]int{}
	for k, v := range m { // want `it stops early and leaves behind what it did so far`
		if v == limit {
			break
		}
		out[k] = v
	}
	return out
}

func twoConstants(m map[string]int) (state string) {
	for _, v := range m { // want `it changes state in more than one way`
		if v > 0 {
			state = "up"
		} else {
			state = "down"
		}
	}
	return state
}

func iterated(m map[string]int) []string {
	for k := range maps.Keys(m) { // want `it calls a function for its effect`
		fmt.Println(k)
	}
	return slices.Collect(maps.Keys(m)) // want `maps.Keys iterates in the order of a map`
}

func excusedWithoutReason(m map[string]int) {
	//determinism:
	for k := range m { // want `the comment //determinism: gives no reason`
		fmt.Println(k)
	}
}

func sends(m map[string]int, c chan string) {
	for k := range m { // want `it does more than collect, delete, count or fill a map`
		c <- k
	}
}
