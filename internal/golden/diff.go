package golden

import "strings"

// around is how many unchanged lines are shown around a change.
const around = 3

// diff is the line-by-line difference that turns a into b: each line with "- ",
// "+ " or "  " ahead of it, and "  ..." for unchanged lines left out. It takes
// time and space in the product of the two lengths (less what they share at both
// ends), which the limit on archives keeps small.
func diff(a, b string) string {
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
	return strings.Join(nearChanges(out), "")
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
	keep := make([]bool, len(all))
	for i, line := range all {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		for j := max(0, i-around); j <= min(len(all)-1, i+around); j++ {
			keep[j] = true
		}
	}
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
