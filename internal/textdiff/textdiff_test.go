package textdiff_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/textdiff"
)

func TestUnifiedIsWhatDiffWrites(t *testing.T) {
	program, err := exec.LookPath("diff")
	if err != nil {
		t.Skip("there is no diff on PATH")
	}
	numbers := "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n"
	for name, c := range map[string][2]string{
		"one line":      {"a\n", "b\n"},
		"new":           {"", "a\nb\n"},
		"gone":          {"a\nb\n", ""},
		"in the middle": {numbers, strings.Replace(numbers, "10\n", "ten\nand\n", 1)},
		"two places":    {numbers, strings.NewReplacer("2\n3\n", "3\n", "19\n", "").Replace(numbers)},
		"at the end":    {numbers, numbers + "21\n"},
		"at the start":  {numbers, "0\n" + numbers},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
			if err := os.WriteFile(a, []byte(c[0]), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(b, []byte(c[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			out, _ := exec.CommandContext(t.Context(), program, "-u", a, b).Output() // it fails where they differ
			want := strings.SplitN(string(out), "\n", 3)[2]
			want = strings.NewReplacer("-1 ", "-1,1 ", "+1 ", "+1,1 ").Replace(want)
			if got := textdiff.Unified(c[0], c[1]); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
	if got := textdiff.Unified(numbers, numbers); got != "" {
		t.Errorf("of equal texts: %q", got)
	}
}
