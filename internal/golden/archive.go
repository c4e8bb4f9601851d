package golden

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/rutter-gateway/rutter/internal/textdiff"
)

// MaxLines is the length of the longest archive that is still one story.
const MaxLines = 120

// Archive is one story. Not safe for concurrent use.
type Archive struct {
	archive *txtar.Archive
	read    map[string]bool
	output  []txtar.File
	errors  []string
}

func parse(data []byte) *Archive {
	return &Archive{archive: txtar.Parse(data), read: map[string]bool{}}
}

// Intent is the text ahead of the first section, without surrounding space.
func (a *Archive) Intent() string { return strings.TrimSpace(string(a.archive.Comment)) }

// Input is the content of the section called name. A section that is not there
// fails the story and reads as nil.
func (a *Archive) Input(name string) []byte {
	i := a.index(name)
	if i < 0 {
		a.errors = append(a.errors, fmt.Sprintf("there is no section %q to read", name))
		return nil
	}
	a.read[name] = true
	return a.archive.Files[i].Data
}

// Inputs are the names of the sections that match a [path.Match] pattern, in
// the order of the archive. Read each with [Archive.Input].
func (a *Archive) Inputs(pattern string) []string {
	var names []string
	for _, f := range a.archive.Files {
		ok, err := path.Match(pattern, f.Name)
		if err != nil {
			a.errors = append(a.errors, fmt.Sprintf("pattern %q: %v", pattern, err))
			return nil
		}
		if ok {
			names = append(names, f.Name)
		}
	}
	return names
}

// Expect holds got against the section called name, byte for byte, except that
// a last line always ends with a newline, as it does in an archive. The
// comparison is reported when the story ends.
func (a *Archive) Expect(name string, got []byte) {
	if len(got) > 0 && !bytes.HasSuffix(got, []byte("\n")) {
		got = append(slices.Clip(got), '\n')
	}
	a.output = append(a.output, txtar.File{Name: name, Data: got})
}

// problems is what is wrong with the story, sentence by sentence. When updating,
// outdated and missing output is not: it will be rewritten.
func (a *Archive) problems(updating bool) []string {
	problems := slices.Clone(a.errors)
	if a.Intent() == "" {
		problems = append(problems, "it does not begin with a sentence of intent")
	}
	if lines := bytes.Count(a.updatedIf(updating), []byte("\n")); lines > MaxLines {
		problems = append(problems, fmt.Sprintf("it has %d lines; a story has %d at most: split it", lines, MaxLines))
	}
	claimed := map[string]bool{}
	for i, f := range a.archive.Files {
		if a.index(f.Name) != i {
			problems = append(problems, fmt.Sprintf("there are two sections %q", f.Name))
		}
	}
	for _, out := range a.output {
		if claimed[out.Name] || a.read[out.Name] {
			problems = append(problems, fmt.Sprintf("section %q is expected twice, or read and expected", out.Name))
		}
		claimed[out.Name] = true
		problems = append(problems, a.compare(out, updating)...)
	}
	for _, f := range a.archive.Files {
		if !claimed[f.Name] && !a.read[f.Name] {
			problems = append(problems, fmt.Sprintf("section %q is neither read nor expected", f.Name))
		}
	}
	return problems
}

func (a *Archive) compare(out txtar.File, updating bool) []string {
	back := txtar.Parse(txtar.Format(&txtar.Archive{Files: []txtar.File{out}}))
	if len(back.Files) != 1 || back.Files[0].Name != out.Name || !bytes.Equal(back.Files[0].Data, out.Data) {
		return []string{fmt.Sprintf("an archive cannot hold section %q: it has a line that looks like a section header", out.Name)}
	}
	if updating {
		return nil
	}
	i := a.index(out.Name)
	if i < 0 {
		return []string{fmt.Sprintf("there is no section %q to compare with (run with -update to record it)", out.Name)}
	}
	if want := a.archive.Files[i].Data; !bytes.Equal(want, out.Data) {
		return []string{fmt.Sprintf("section %q differs (- recorded, + computed):\n%s", out.Name, textdiff.Short(string(want), string(out.Data)))}
	}
	return nil
}

// updated is the archive with its expected sections rewritten; new ones come last.
func (a *Archive) updated() []byte {
	next := &txtar.Archive{Comment: a.archive.Comment, Files: slices.Clone(a.archive.Files)}
	for _, out := range a.output {
		if i := a.index(out.Name); i >= 0 {
			next.Files[i].Data = out.Data
		} else {
			next.Files = append(next.Files, out)
		}
	}
	return txtar.Format(next)
}

func (a *Archive) updatedIf(updating bool) []byte {
	if updating {
		return a.updated()
	}
	return txtar.Format(a.archive)
}

func (a *Archive) index(name string) int {
	return slices.IndexFunc(a.archive.Files, func(f txtar.File) bool { return f.Name == name })
}
