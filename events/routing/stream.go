package routing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// MarshalStream is [Marshal] for what is too large to be a value: write writes the
// JSON.
func MarshalStream(write func(io.Writer) error) (data []byte, encoding string, err error) {
	out := &packer{}
	if err := write(out); err != nil {
		return nil, "", err
	}
	return out.finish()
}

// UnmarshalStream undoes [MarshalStream] and [Marshal]: read reads the JSON.
func UnmarshalStream(data []byte, encoding string, read func(*json.Decoder) error) error {
	in, done, err := unpack(data, encoding)
	if err != nil {
		return err
	}
	defer done()
	d := json.NewDecoder(in)
	if err := read(d); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	// What lies behind, up to the checksum of the compression, has to be right too.
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: it does not end where it should: %w", ErrFormat, err)
	}
	return nil
}

// StreamWriter writes a JSON object that ends with lists and maps which are too
// long to be encoded in one piece. After an error it writes nothing more.
type StreamWriter struct {
	out   io.Writer
	open  byte // what the present list or map ends with; 0 for none
	items int
	err   error
}

// NewStreamWriter begins with the fields of head, a struct that has any.
func NewStreamWriter(out io.Writer, head any) *StreamWriter {
	w := &StreamWriter{out: out}
	data, err := json.Marshal(head)
	w.err = err
	w.write(bytes.TrimSuffix(data, []byte("}")))
	return w
}

// List begins a list, and Map a map, as the next field.
func (w *StreamWriter) List(name string) { w.begin(name, '[', ']') }

// Map see List.
func (w *StreamWriter) Map(name string) { w.begin(name, '{', '}') }

func (w *StreamWriter) begin(name string, first, last byte) {
	w.finish()
	w.write(fmt.Appendf(nil, ",%q:%c", name, first))
	w.open, w.items = last, 0
}

func (w *StreamWriter) finish() {
	if w.open != 0 {
		w.write([]byte{w.open})
	}
}

// Add adds to a list.
func (w *StreamWriter) Add(value any) {
	w.separate()
	w.encode(value)
}

// AddField adds to a map.
func (w *StreamWriter) AddField(name string, value any) {
	w.separate()
	w.encode(name)
	w.write([]byte{':'})
	w.encode(value)
}

func (w *StreamWriter) separate() {
	if w.items++; w.items > 1 {
		w.write([]byte{','})
	}
}

func (w *StreamWriter) encode(value any) {
	if w.err == nil {
		var data []byte
		data, w.err = json.Marshal(value)
		w.write(data)
	}
}

func (w *StreamWriter) write(data []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(data)
	}
}

// End ends the object, and returns the first error.
func (w *StreamWriter) End() error {
	w.finish()
	w.write([]byte{'}'})
	return w.err
}

// Fields reads a JSON object, and calls field for each of its fields, which has to
// decode the value.
func Fields(d *json.Decoder, field func(name string) error) error {
	if err := expect(d, json.Delim('{')); err != nil {
		return err
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if err := field(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return expect(d, json.Delim('}'))
}

// Items reads a JSON array, or null, and calls item for each of its items, which
// has to decode it.
func Items(d *json.Decoder, item func() error) error {
	token, err := d.Token()
	if err != nil || token == nil {
		return err
	}
	if token != json.Delim('[') {
		return fmt.Errorf("it is %v, and no list", token)
	}
	for d.More() {
		if err := item(); err != nil {
			return err
		}
	}
	return expect(d, json.Delim(']'))
}

func expect(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("it has %v where %v belongs", token, want)
	}
	return nil
}
