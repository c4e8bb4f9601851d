package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheHowtoPrintsWhatItSays runs the commands of docs/howto/replay-an-incident.md that
// ask the recorded incident, as they are written there: what is printed must be what
// stands below each. What is served is not asked here (TestThePastIsServedWithStandIns).
func TestTheHowtoPrintsWhatItSays(t *testing.T) {
	text, err := os.ReadFile("../../docs/howto/replay-an-incident.md")
	must(t, err)
	asked := 0
	r := &rig{t: t}
	for _, block := range regexp.MustCompile("(?sm)^```(?:sh)?\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		for _, command := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			line, want, _ := strings.Cut(command, "\n")
			arguments, ok := strings.CutPrefix(line, "bin/rutter ")
			if !ok || strings.HasPrefix(arguments, "standalone") {
				continue
			}
			asked++
			fields := strings.Fields(arguments)
			for i, field := range fields {
				if strings.HasPrefix(field, "replay-tests/") {
					fields[i] = filepath.Join("../..", field)
				}
			}
			if _, got := r.rutter(fields...); strings.TrimSpace(got) != strings.TrimSpace(want) {
				t.Errorf("rutter %s prints\n%s\nand it says\n%s", arguments, got, want)
			}
		}
	}
	if asked < 4 {
		t.Errorf("only %d commands were found", asked)
	}
}
