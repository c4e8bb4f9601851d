package routing_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events/routing"
)

type wholeForm struct {
	Head  string         `json:"head"`
	List  []int          `json:"list"`
	Named map[string]int `json:"named"`
}

// longHead is more than is left uncompressed.
var longHead = strings.Repeat("0123456789abcdef", 4<<10)

func writeForm(out io.Writer) error {
	w := routing.NewStreamWriter(out, struct {
		Head string `json:"head"`
	}{longHead})
	w.List("list")
	for i := range 3 {
		w.Add(i)
	}
	w.Map("named")
	w.AddField("a", 1)
	w.AddField("b", 2)
	return w.End()
}

func readForm(out *wholeForm) func(*json.Decoder) error {
	return func(d *json.Decoder) error {
		return routing.Fields(d, func(name string) error {
			switch name {
			case "head":
				return d.Decode(&out.Head)
			case "list":
				return routing.Items(d, func() error {
					var i int
					err := d.Decode(&i)
					out.List = append(out.List, i)
					return err
				})
			default:
				out.Named = map[string]int{}
				return routing.Fields(d, func(name string) error {
					var i int
					err := d.Decode(&i)
					out.Named[name] = i
					return err
				})
			}
		})
	}
}

func TestWhatIsWrittenInPartsIsOneJSONObject(t *testing.T) {
	data, encoding, err := routing.MarshalStream(writeForm)
	if err != nil {
		t.Fatal(err)
	}
	var whole, parts wholeForm
	if err := routing.Unmarshal(data, encoding, &whole); err != nil {
		t.Fatal(err)
	}
	if err := routing.UnmarshalStream(data, encoding, readForm(&parts)); err != nil {
		t.Fatal(err)
	}
	for _, got := range []wholeForm{whole, parts} {
		if got.Head != longHead || !slices.Equal(got.List, []int{0, 1, 2}) || !maps.Equal(got.Named, map[string]int{"a": 1, "b": 2}) {
			t.Errorf("read %d bytes, %v, %v", len(got.Head), got.List, got.Named)
		}
	}
	// And what was written whole is read in parts.
	data, encoding, err = routing.Marshal(wholeForm{Head: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if err := routing.UnmarshalStream(data, encoding, func(d *json.Decoder) error {
		return routing.Fields(d, func(string) error { var value json.RawMessage; return d.Decode(&value) })
	}); err != nil {
		t.Error(err)
	}
}

func TestDamageToWhatIsReadInPartsIsFound(t *testing.T) {
	data, encoding, err := routing.MarshalStream(writeForm)
	if err != nil || encoding == "" {
		t.Fatalf("the encoding is %q, %v", encoding, err)
	}
	for i := range data {
		damaged := slices.Clone(data)
		damaged[i] ^= 0x10
		var got wholeForm
		if err := routing.UnmarshalStream(damaged, encoding, readForm(&got)); err == nil && (got.Head != longHead || len(got.List) != 3 || len(got.Named) != 2) {
			t.Errorf("byte %d: read %d bytes, %v, %v", i, len(got.Head), got.List, got.Named)
		}
		if err := routing.UnmarshalStream(data[:i], encoding, readForm(&got)); err == nil {
			t.Errorf("the first %d bytes are read as %d bytes, %v, %v", i, len(got.Head), got.List, got.Named)
		}
	}
	if _, _, err := routing.MarshalStream(func(io.Writer) error { return io.ErrUnexpectedEOF }); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a failure to write ends with %v", err)
	}
}
