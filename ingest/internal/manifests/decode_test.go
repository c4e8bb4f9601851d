package manifests

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var updateGolden = flag.Bool("update", false, "rewrite golden files")

func testDecoder(t testing.TB) *decoder {
	t.Helper()
	d, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// verdicts decodes a file and labels each verdict with where it stands.
func verdicts(t *testing.T, name, data string) []string {
	t.Helper()
	d := testDecoder(t)
	var out []string
	for i, document := range split(name, []byte(data)) {
		for _, v := range d.decode(document) {
			text := v.refused + v.ignored
			if v.object != nil {
				text = string(v.object)
			}
			out = append(out, fmt.Sprintf("%s: %s", Source{File: name, Document: i + 1, Line: document.line}, text))
		}
	}
	return out
}

// golden compares what becomes of testdata/<name>.yaml with testdata/<name>.golden.
func golden(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(verdicts(t, name+".yaml", string(data)), "\n\n") + "\n"
	file := filepath.Join("testdata", name+".golden")
	if *updateGolden {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (-update rewrites it):\n%s", file, got)
	}
}

func TestRefusalsHaveTheWordsOfTheAPIServer(t *testing.T) { golden(t, "refused") }

func TestObjectsAreDefaultedAndNormalised(t *testing.T) { golden(t, "accepted") }

func TestEveryServedVersionOfEveryKindCompiles(t *testing.T) {
	for group, k := range testDecoder(t).kinds {
		for version, e := range k.versions {
			if c, ok := e.(*custom); ok {
				if _, err := c.compiled(); err != nil {
					t.Errorf("%s %s: %v", group, version, err)
				}
			}
		}
	}
}

func TestDocumentsAreNumberedWhereTheyStand(t *testing.T) {
	for _, c := range []struct{ name, data, want string }{
		{"empty.yaml", "", ""},
		{"comments.yaml", "# a\n---\n# b\n---\n\n", ""},
		{"one.yaml", "a: 1\n", "1:a: 1\n"},
		{"two.yaml", "# c\na: 1\n--- # x\nb: 2", "2:# c\na: 1\n|4:b: 2"},
		{"windows.yaml", "\uFEFFa: 1\r\n---\r\nb: 2\r\n", "1:a: 1\r\n|3:b: 2\r\n"},
		{"inline.yaml", "--- {a: 1}\n---\tb\n", "1:--- {a: 1}\n|2:---\tb\n"},
		{"ended.yaml", "a: 1\n...\n# x\n...\nb: 2\n", "1:a: 1\n|5:b: 2\n"},
		{"nearly.yaml", "a: |\n  ---\n  x\n----: 1\n", "1:a: |\n  ---\n  x\n----: 1\n"},
		{"directive.yaml", "%YAML 1.2\n---\na: 1\n", "3:a: 1\n"},
		{"stream.json", "{}\n \n{\"a\":\n1} []", "1:{}|3:{\"a\":\n1}|4:[]"},
		{"broken.json", "{}\n{\"a\"\n}", "1:{}|2!line 3: invalid character '}' after object key"},
		{"cut.json", "{\"a\": [1,\n", "1!line 1: unexpected EOF"},
	} {
		var got []string
		for _, document := range split(c.name, []byte(c.data)) {
			if document.err != nil {
				got = append(got, fmt.Sprintf("%d!%v", document.line, document.err))
			} else {
				got = append(got, fmt.Sprintf("%d:%s", document.line, document.data))
			}
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, strings.Join(got, "|"), c.want)
		}
	}
}

func TestOnlyManifestsAreRead(t *testing.T) {
	for name, want := range map[string]bool{
		"a.yaml": true, "b.YML": true, "sub/c.json": true, "a.b.yaml": true,
		".a.yaml.swp": false, ".hidden.yaml": false, "a.yaml~": false, "#a.yaml#": false, "#a.yaml": false,
		"4913": false, "README.md": false, "yaml": false, "a.yaml.bak": false,
	} {
		if isManifest(name) != want {
			t.Errorf("isManifest(%q) is not %v", name, want)
		}
	}
}

func FuzzDecodeNeverPanicsAndGivesAVerdict(f *testing.F) {
	for _, name := range []string{"accepted.yaml", "refused.yaml"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		for _, document := range split(name, data) {
			f.Add(string(document.data))
		}
	}
	d := testDecoder(f)
	f.Fuzz(func(t *testing.T, data string) {
		for _, name := range []string{"f.yaml", "f.json"} {
			for _, document := range split(name, []byte(data)) {
				for _, v := range d.decode(document) {
					if (v.object != nil) == (v.refused+v.ignored != "") {
						t.Fatalf("verdict %+v", v)
					}
				}
			}
		}
	})
}

// BenchmarkDecodeRoute is YAML to validated object for a route of about 1.5 KB.
func BenchmarkDecodeRoute(b *testing.B) {
	data, err := os.ReadFile(filepath.Join("testdata", "route.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	d := testDecoder(b)
	document := split("route.yaml", data)[0]
	d.decode(document) // compiles the schema
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if v := d.decode(document)[0]; v.object == nil {
			b.Fatal(v.refused)
		}
	}
}
