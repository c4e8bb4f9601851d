package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
)

// What is compared as text is a unified diff in colours, unless somebody wants none.
func TestADiffIsColouredForWhoReadsIt(t *testing.T) {
	question := "bisect GET http://shop.example.com/pay --good 40 --bundle ../../replay-tests/histories/grant-revoked/bundle.rutter"
	ask := func(colours bool, more ...string) string {
		var out bytes.Buffer
		env := environment{out: &out, err: &out, now: time.Now, open: openLog, colours: colours}
		if code := run(t.Context(), env, append(strings.Fields(question), more...)); code != exitFine {
			t.Fatalf("exit code %d: %s", code, out.String())
		}
		return out.String()
	}
	plain, coloured := ask(false), ask(true)
	for _, line := range []struct {
		text   string
		colour display.Colour
	}{{"-kind: ReferenceGrant", display.Bad}, {"--- referencegrant/pay/shop before 41", display.Bad}, {"+++ referencegrant/pay/shop at 41", display.Good}} {
		if !strings.Contains(plain, "\n"+line.text+"\n") {
			t.Errorf("there is no line %q in\n%s", line.text, plain)
		}
		if want := display.Paint(line.text, line.colour, true); want == line.text || !strings.Contains(coloured, "\n"+want+"\n") {
			t.Errorf("%q is not coloured in\n%q", line.text, coloured)
		}
	}
	if got := ask(true, "--no-color"); got != plain {
		t.Errorf("with --no-color it is\n%q", got)
	}
}
