package display_test

import (
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
)

func TestColumnsAlignByWhatIsSeen(t *testing.T) {
	rows := display.Rows{Header: []string{"A", "B", "C"}, Body: [][]display.Cell{
		{{Text: "größe", Colour: display.Bad}, {Text: ""}, {Text: "x"}},
		display.Cells("b", "long one", ""),
	}}
	var plain, coloured strings.Builder
	if err := rows.Write(&plain, false); err != nil {
		t.Fatal(err)
	}
	if want := "A      B         C\ngröße            x\nb      long one\n"; plain.String() != want {
		t.Errorf("got:\n%s", plain.String())
	}
	if err := rows.Write(&coloured, true); err != nil {
		t.Fatal(err)
	}
	if got := strings.NewReplacer(string(display.Bad), "", "\x1b[0m", "").Replace(coloured.String()); got != plain.String() || got == coloured.String() {
		t.Errorf("got %q", coloured.String())
	}
}

func TestAnswerIsWrittenByItsJSONNames(t *testing.T) {
	answer := struct {
		Name string `json:"name"`
	}{"a<b"}
	for format, want := range map[display.Format]string{display.JSON: "{\n  \"name\": \"a<b\"\n}\n", display.YAML: "name: a<b\n"} {
		var out strings.Builder
		if err := format.Write(&out, answer); err != nil || out.String() != want {
			t.Errorf("%s: got %q, %v", format, out.String(), err)
		}
	}
	if _, err := display.ParseFormat("xml"); err == nil {
		t.Error("xml is no format of ours")
	}
}

func TestShortTextKeepsItsLimit(t *testing.T) {
	if got := display.Short("größer", 4); got != "grö…" {
		t.Errorf("got %q", got)
	}
	if got := display.Short("grün", 4); got != "grün" {
		t.Errorf("got %q", got)
	}
}
