package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Where the clock goes fast, all work is long.
func TestLongWorkTellsHowFarItIs(t *testing.T) {
	bundle, dir := "../../replay-tests/histories/grant-revoked/bundle.rutter", t.TempDir()
	for command, want := range map[string]string{
		"blame httproute/shop/shop --bundle " + bundle:                       "read 41 of 41 events\n",
		"verify --bundle " + bundle:                                          "compared 2 versions, folded 41 of at most 41 events\n",
		"export -f " + filepath.Join(dir, "b") + " --bundle " + bundle:       "exported ",
		"import " + bundle + " --data-dir " + filepath.Join(dir, "imported"): "imported ",
	} {
		var out, told bytes.Buffer
		now := time.Now()
		env := environment{out: &out, err: &told, open: openLog, now: func() time.Time { now = now.Add(time.Minute); return now }}
		if code := run(t.Context(), env, strings.Fields(command)); code != exitFine {
			t.Errorf("rutter %s exits with %d: %s", command, code, told.String())
		}
		if !strings.Contains(told.String(), want) {
			t.Errorf("rutter %s tells %q, want %q", command, told.String(), want)
		}
	}
}
