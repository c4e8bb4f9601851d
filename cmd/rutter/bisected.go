package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
)

func (b *bisected) write(w io.Writer, colours bool) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\ngood  %s\nbad   %s\n\n", b.Request, b.Good, b.Bad)
	if b.Change != nil {
		writeChange(&out, b.Change, b.Version, len(b.Events), colours)
	} else {
		fmt.Fprintf(&out, "It went elsewhere with version %s, which is made of these changes: %s.\n", b.Version, b.Unknown)
		for _, e := range b.others {
			fmt.Fprintf(&out, "  %s\n", changeText(e))
		}
	}
	if b.Skipped != "" {
		fmt.Fprintf(&out, "It may also be one of the versions that were skipped: %s\n", b.Skipped)
	}
	if b.Diff != "" {
		out.WriteByte('\n')
		writeDiff(&out, b.Diff, colours)
	}
	for _, side := range []struct {
		label   string
		at      moment
		answers []gatewayAnswer
	}{{"Before", b.before, b.Before}, {"After", b.after, b.After}} {
		fmt.Fprintf(&out, "\n%s, at %s\n", side.label, side.at)
		if len(side.answers) == 0 {
			out.WriteString("\nno Gateway listens on that port\n")
		}
		for _, g := range side.answers {
			g.Tried = nil
			if err := g.write(&out, colours); err != nil {
				return err
			}
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func writeChange(out *strings.Builder, e *history.Entry, version string, events int, colours bool) {
	fmt.Fprintf(out, "%s\n", display.Paint(changeText(e), display.Note, colours))
	fmt.Fprintf(out, "in version %s", version)
	if events > 1 {
		fmt.Fprintf(out, ", one of its %d changes", events)
	}
	out.WriteByte('\n')
}

// changeText is "15  2026-11-01T12:02:00Z  updated httproute/default/shop by helm".
func changeText(e *history.Entry) string {
	out := fmt.Sprintf("%d  %s  %s %s", e.Sequence, e.Time.UTC().Format(time.RFC3339), e.Change, e.Object)
	if who := e.Who(); who != "-" {
		out += " by " + who
	}
	if e.Note != "" {
		out += ": " + e.Note
	}
	return out
}

// writeDiff writes a unified diff.
func writeDiff(out *strings.Builder, diff string, colours bool) {
	for line := range strings.Lines(diff) {
		text := strings.TrimSuffix(line, "\n")
		colour := map[byte]display.Colour{'+': display.Good, '-': display.Bad, '@': display.Note}[text[0]]
		out.WriteString(display.Paint(text, colour, colours) + "\n")
	}
}
