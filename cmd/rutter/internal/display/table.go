package display

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Rows are rows of cells under a header.
type Rows struct {
	Header []string
	Body   [][]Cell
}

// Cell is a text and how it looks.
type Cell struct {
	Text   string
	Colour Colour
}

// Cells are texts without colour.
func Cells(texts ...string) []Cell {
	out := make([]Cell, len(texts))
	for i, text := range texts {
		out[i].Text = text
	}
	return out
}

// Colour is what a text means; "" is nothing in particular.
type Colour string

// The colours.
const (
	Good Colour = "\x1b[32m"
	Bad  Colour = "\x1b[31m"
	Note Colour = "\x1b[33m"
)

const reset = "\x1b[0m"

// Paint is text in a colour, where colours are wanted.
func Paint(text string, colour Colour, colours bool) string {
	if !colours || colour == "" || text == "" {
		return text
	}
	return string(colour) + text + reset
}

// Write prints them as a table, columns two spaces apart and no space at line ends.
func (t Rows) Write(w io.Writer, colours bool) error {
	rows := append([][]Cell{Cells(t.Header...)}, t.Body...)
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell.Text))
		}
	}
	var out strings.Builder
	for _, row := range rows {
		spaces := 0
		for i, cell := range row {
			if cell.Text != "" {
				out.WriteString(strings.Repeat(" ", spaces))
				out.WriteString(Paint(cell.Text, cell.Colour, colours))
				spaces = 0
			}
			spaces += widths[i] - utf8.RuneCountInString(cell.Text) + 2
		}
		out.WriteByte('\n')
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// Short is text in at most so many characters.
func Short(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
