package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
)

func (p *plan) write(w io.Writer, colours bool) error {
	var out strings.Builder
	fmt.Fprintf(&out, "on top of %s\n\n", p.At)
	steps := []func(*strings.Builder, bool) error{p.writeChanges, p.writeConditions, p.writeRouting, p.writeDestinations}
	for _, step := range steps {
		if err := step(&out, colours); err != nil {
			return err
		}
	}
	if len(p.Unknown) > 0 {
		out.WriteString("\nNot known:\n")
		for _, text := range p.Unknown {
			fmt.Fprintf(&out, "  %s\n", text)
		}
	}
	if p.Worse {
		fmt.Fprintf(&out, "\n%s\n", display.Paint("something gets worse", display.Bad, colours))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (p *plan) writeChanges(out *strings.Builder, colours bool) error {
	t := display.Rows{Header: []string{"CHANGE", "OBJECT", "FIELDS"}}
	for _, c := range p.Changes {
		row := display.Cells(c.Change, c.Object, fieldsText(c.Fields))
		row[0].Colour = map[string]display.Colour{"created": display.Good, "deleted": display.Bad, "updated": display.Note}[c.Change]
		t.Body = append(t.Body, row)
	}
	if len(t.Body) > 0 {
		if err := t.Write(out, colours); err != nil {
			return err
		}
	}
	for _, one := range p.Refused {
		fmt.Fprintf(out, "%s %s: %s\n", display.Paint("refused", display.Bad, colours), one.Where, one.Message)
	}
	for _, one := range p.Ignored {
		fmt.Fprintf(out, "ignored %s: %s\n", one.Where, one.Message)
	}
	if len(p.Changes)+len(p.Refused)+len(p.Ignored) == 0 {
		out.WriteString("there is nothing in it\n")
	}
	return nil
}

func (p *plan) writeConditions(out *strings.Builder, colours bool) error {
	if len(p.Conditions) == 0 {
		out.WriteString("\nno condition differs\n")
		return nil
	}
	out.WriteByte('\n')
	t := display.Rows{Header: []string{"CONDITIONS OF", "ON", "BEFORE", "AFTER"}}
	last := ""
	for _, c := range p.Conditions {
		row := display.Cells(c.Object, c.On, orDash(c.Before), orDash(c.Now))
		if c.Object == last {
			row[0].Text = ""
		}
		last = c.Object
		if c.Worse {
			row[3].Colour = display.Bad
		}
		t.Body = append(t.Body, row)
		if c.Worse && c.Message != "" {
			t.Body = append(t.Body, display.Cells("", "", "", "  "+c.Message))
		}
	}
	return t.Write(out, colours)
}

func (p *plan) writeRouting(out *strings.Builder, colours bool) error {
	if len(p.Gateways) == 0 {
		out.WriteString("\nno difference in routing\n")
		return nil
	}
	for _, g := range p.Gateways {
		fmt.Fprintf(out, "\nGateway %s\n", g.Gateway)
		if err := g.write(out, colours); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) writeDestinations(out *strings.Builder, colours bool) error {
	if len(p.Destinations) == 0 {
		return nil
	}
	out.WriteByte('\n')
	t := display.Rows{Header: []string{"GATEWAY", "LISTENER", "HOST", "REQUESTS", "WENT TO", "GO TO", "MOVED"}}
	last := ""
	for _, d := range p.Destinations {
		row := display.Cells(d.Gateway, d.Listener, d.Host, d.Match, strings.Join(d.Before, ", "), strings.Join(d.Now, ", "), percent(d.Moved))
		if d.Gateway == last {
			row[0].Text = ""
		}
		last = d.Gateway
		if d.Lost > 0 {
			row[5].Colour = display.Bad
		}
		t.Body = append(t.Body, row)
	}
	return t.Write(out, colours)
}

func percent(p float64) string { return strconv.FormatFloat(p, 'g', 4, 64) + "%" }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
