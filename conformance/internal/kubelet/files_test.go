package kubelet

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestExpand(t *testing.T) {
	values := map[string]string{"A": "1", "B": "$(A)"}
	for text, want := range map[string]string{
		"": "", "plain": "plain", "$(A)": "1", "x$(A)y$(A)": "x1y1", "$(B)": "$(A)", "$(C)": "$(C)", "$$(A)": "$(A)",
		"$$$(A)": "$1", "$A": "$A", "$(A": "$(A", "cost: $": "cost: $", "$$": "$", "$()": "$()",
	} {
		if got := expand(text, values); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestAVolumeChangesAllAtOnce(t *testing.T) {
	dir := t.TempDir()
	write := func(files map[string]file) {
		t.Helper()
		if err := writeAtomically(dir, files, -1, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) string {
		content, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err.Error()
		}
		return string(content)
	}
	target := func() string {
		t.Helper()
		link, err := os.Readlink(filepath.Join(dir, dataLink))
		if err != nil {
			t.Fatal(err)
		}
		return link
	}
	write(map[string]file{"a": {"1", 0o600}, "below/b": {"1", 0o644}})
	first := target()
	if read("a") != "1" || read("below/b") != "1" {
		t.Errorf("read %s and %s", read("a"), read("below/b"))
	}
	if info, err := os.Stat(filepath.Join(dir, "a")); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode is %v, %v", info, err)
	}
	write(map[string]file{"a": {"1", 0o600}, "below/b": {"1", 0o644}})
	if target() != first {
		t.Error("it is written again without a change")
	}
	write(map[string]file{"a": {"2", 0o600}, "c": {"2", 0o644}})
	if target() == first || read("a") != "2" || read("c") != "2" {
		t.Errorf("read %s and %s", read("a"), read("c"))
	}
	if _, err := os.Lstat(filepath.Join(dir, "below")); !os.IsNotExist(err) {
		t.Errorf("what is gone is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, first)); !os.IsNotExist(err) {
		t.Errorf("the content before is still there: %v", err)
	}
	for _, path := range []string{"../out", "/out", "..data"} {
		if err := writeAtomically(dir, map[string]file{path: {}}, -1, time.Unix(0, 0)); err == nil {
			t.Errorf("%s is written", path)
		}
	}
}

func TestLinesOfALogAreStoredWholeWithTheirTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	log, err := newLogFile(path, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"on", "e\ntw", "o\nthree\n", "fo"} {
		if _, err := log.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	const want = "2026-11-24T10:00:01.000000000Z one\n2026-11-24T10:00:02.000000000Z two\n" +
		"2026-11-24T10:00:02.000000000Z three\n2026-11-24T10:00:04.000000000Z fo\n"
	content, err := os.ReadFile(path)
	if err != nil || string(content) != want {
		t.Errorf("stored %s, %v, want %s", content, err, want)
	}
	if got := log.lastLines(); got != "one\ntwo\nthree\nfo\n" {
		t.Errorf("the last lines are %q", got)
	}
	for name, test := range map[string]struct {
		query, want string
	}{
		"everything":      {"", "one\ntwo\nthree\nfo\n"},
		"the last":        {"tailLines=2", "three\nfo\n"},
		"none":            {"tailLines=0", ""},
		"since a time":    {"sinceTime=2026-11-24T10:00:02Z", "two\nthree\nfo\n"},
		"some bytes":      {"limitBytes=5", "one\nt"},
		"with their time": {"tailLines=1&timestamps=true", "2026-11-24T10:00:04.000000000Z fo\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readLog(t, path, test.query); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func readLog(t *testing.T, path, query string) string {
	t.Helper()
	options, err := parseLogOptions(mustParseQuery(t, query), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var got bytes.Buffer
	if err := copyLog(&got, func() error { return nil }, file, nil, options, nil); err != nil && !strings.Contains(err.Error(), "EOF") {
		t.Fatal(err)
	}
	return got.String()
}

func mustParseQuery(t *testing.T, query string) url.Values {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return values
}
