// Package variables remembers from one call to the next.
package variables

import (
	"errors"
	"regexp"
	"strings"
)

var (
	counter int
	cache   = map[string]int{}
	config  struct{ limit int }
	builder strings.Builder
	pointed int
	list    = []int{1, 2}

	Exported = 1 // want `exported package variable Exported can be changed from outside`

	ErrFine = errors.New("fine")
	table   = map[string]int{"one": 1}
	word    = regexp.MustCompile(`\w+`)
)

func remember(name string) *int {
	counter++               // want `changes package variable counter`
	cache[name] = counter   // want `changes package variable cache`
	delete(cache, "old")    // want `changes package variable cache`
	clear(cache)            // want `changes package variable cache`
	config.limit = 3        // want `changes package variable config`
	list = append(list, 3)  // want `changes package variable list`
	builder.WriteString("") // want `changes package variable builder`
	for counter = range 3 { // want `changes package variable counter`
	}
	return &pointed // want `changes package variable pointed`
}

func fine(name string) (int, bool) {
	table := map[string]int{name: table[name]}
	table[name]++
	return table[name], word.MatchString(name)
}
