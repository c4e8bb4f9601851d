// Package textdiff compares texts line by line.
//
//	before, after ──Short──► changed lines and three around    for the failure of a test
//	              ──Unified──► hunks as diff -u writes them    for people and for patch
//
// It takes time and space in the product of the two lengths (less what they share at
// both ends), so it is for texts that people write.
package textdiff

import (
	"fmt"
	"strings"
)

// around is how many unchanged lines are shown around a change.
const around = 3

// Short is the difference that turns a into b: each line with "- ", "+ " or "  " ahead
// of it, and "  ..." for unchanged lines left out.
func Short(a, b string) string { return strings.Join(nearChanges(all(a, b)), "") }

// Unified is the difference that turns a into b, in hunks; "" for none.
func Unified(a, b string) string {
	list := all(a, b)
	keep := near(list)
	var out strings.Builder
	first, second := 1, 1 // the lines of a and b at i
	for i := 0; i < len(list); {
		if !keep[i] {
			first, second, i = first+1, second+1, i+1
			continue
		}
		var hunk strings.Builder
		from, to := first, second
		for ; i < len(list) && keep[i]; i++ {
			sign, text := list[i][:1], list[i][2:]
			hunk.WriteString(sign + text)
			if sign != "+" {
				first++
			}
			if sign != "-" {
				second++
			}
		}
		fmt.Fprintf(&out, "@@ -%s +%s @@\n%s", span(from, first), span(to, second), &hunk)
	}
	return out.String()
}

// span is where the lines from one to ahead of another are. No lines are behind one.
func span(from, end int) string {
	if from == end {
		return fmt.Sprintf("%d,0", from-1)
	}
	return fmt.Sprintf("%d,%d", from, end-from)
}

// all is every line of both texts, with what becomes of it.
func all(a, b string) []string {
	x, y := lines(a), lines(b)
	head := 0
	for head < len(x) && head < len(y) && x[head] == y[head] {
		head++
	}
	tail := 0
	for tail < len(x)-head && tail < len(y)-head && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	out := prefixed("  ", x[:head])
	out = append(out, edits(x[head:len(x)-tail], y[head:len(y)-tail])...)
	out = append(out, prefixed("  ", x[len(x)-tail:])...)
	return out
}

// edits is the difference by a longest common subsequence.
func edits(x, y []string) []string {
	// common[i][j] is the length of the longest one of x[i:] and y[j:].
	common := make([][]int, len(x)+1)
	for i := range common {
		common[i] = make([]int, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(x) && j < len(y) {
		switch {
		case x[i] == y[j]:
			out = append(out, "  "+x[i])
			i, j = i+1, j+1
		case common[i+1][j] >= common[i][j+1]:
			out = append(out, "- "+x[i])
			i++
		default:
			out = append(out, "+ "+y[j])
			j++
		}
	}
	return append(append(out, prefixed("- ", x[i:])...), prefixed("+ ", y[j:])...)
}

// nearChanges leaves out the unchanged lines that are far from any change.
func nearChanges(all []string) []string {
	keep := near(all)
	var out []string
	for i, line := range all {
		switch {
		case keep[i]:
			out = append(out, line)
		case i == 0 || keep[i-1]:
			out = append(out, "  ...\n")
		}
	}
	return out
}

// near tells which lines are changed, or near to one that is.
func near(all []string) []bool {
	keep := make([]bool, len(all))
	for i, line := range all {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		for j := max(0, i-around); j <= min(len(all)-1, i+around); j++ {
			keep[j] = true
		}
	}
	return keep
}

func prefixed(prefix string, lines []string) []string {
	out := make([]string, 0, len(lines))
	for _, line := range lines {
		out = append(out, prefix+line)
	}
	return out
}

// lines are the lines of s, each with its newline; a last one that lacks it gets it.
func lines(s string) []string {
	var out []string
	for line := range strings.Lines(s) {
		out = append(out, strings.TrimSuffix(line, "\n")+"\n")
	}
	return out
}
