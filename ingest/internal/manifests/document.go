package manifests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// text is one document of a file, as bytes.
type text struct {
	line int // of its first content, from 1
	skip int // lines of the file ahead of data
	data []byte
	json bool
	err  error // why it could not be told apart from what follows
}

// isManifest tells by the name whether a file is read. Hidden files and what
// editors put beside a file (x~, #x#, .x.swp) are not; nor is anything else that
// is not YAML or JSON.
func isManifest(name string) bool {
	base := path.Base(name)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "#") {
		return false
	}
	switch strings.ToLower(path.Ext(base)) {
	case ".yaml", ".yml", ".json":
		return true
	default:
		return false
	}
}

// split cuts a file into its documents. Documents that hold nothing but
// comments are left out and not counted.
func split(name string, data []byte) []text {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if strings.EqualFold(path.Ext(name), ".json") {
		return splitJSON(data)
	}
	return splitYAML(data)
}

// splitYAML cuts at lines that begin with "---" and at lines that are "...".
// Inside a mapping no line of a scalar can begin in the first column, so that
// neither can be content.
func splitYAML(data []byte) []text {
	var out []text
	current := text{}
	start, end, skip := 0, 0, 0
	flush := func() {
		if current.line > 0 {
			current.data, current.skip = data[start:end], skip
			out = append(out, current)
		}
		current = text{}
	}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		trimmed := bytes.TrimSpace(line)
		separator := bytes.HasPrefix(line, []byte("---")) && (len(trimmed) == 3 || line[3] == ' ' || line[3] == '\t')
		if separator || string(bytes.TrimRight(line, " \t\r\n")) == "..." {
			flush()
			start, skip = end, number-1
			if !separator || onlyComment(bytes.TrimSpace(trimmed[3:])) {
				start, skip, trimmed = start+len(line), number, nil
			}
		}
		end += len(line)
		if current.line == 0 && !onlyComment(trimmed) {
			current.line = number
		}
	}
	flush()
	return out
}

// onlyComment tells whether a trimmed line holds no content: it is blank, a
// comment or a directive.
func onlyComment(line []byte) bool {
	return len(line) == 0 || line[0] == '#' || line[0] == '%'
}

// splitJSON cuts a stream of JSON values. What follows a syntax error cannot be
// cut any more and is one document with an error.
func splitJSON(data []byte) []text {
	var out []text
	decoder := json.NewDecoder(bytes.NewReader(data))
	for {
		begin := int(decoder.InputOffset())
		begin += len(data[begin:]) - len(bytes.TrimLeft(data[begin:], " \t\r\n"))
		line := 1 + bytes.Count(data[:begin], []byte("\n"))
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			at := begin
			if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
				at = min(int(syntax.Offset), len(data))
			}
			err = fmt.Errorf("line %d: %w", 1+bytes.Count(data[:at], []byte("\n")), err)
			return append(out, text{line: line, data: data[begin:], json: true, err: err})
		}
		out = append(out, text{line: line, data: raw, json: true})
	}
}
