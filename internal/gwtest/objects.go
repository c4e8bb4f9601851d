package gwtest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Objects are the documents of a YAML (or JSON) text, in order, as unstructured
// objects: whole numbers are int64. Empty documents are left out, and nothing is
// defaulted or validated.
// Tabs are read as two spaces, so that YAML may be indented along with Go code.
func Objects(t testing.TB, text string) []map[string]any {
	t.Helper()
	var objects []map[string]any
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("read manifests: %v", err)
		}
		asJSON, err := yaml.YAMLToJSON(bytes.ReplaceAll(document, []byte("\t"), []byte("  ")))
		if err != nil {
			t.Fatalf("read document %d: %v", len(objects)+1, err)
		}
		var object map[string]any
		if err := json.Unmarshal(asJSON, &object); err != nil {
			t.Fatalf("read document %d: %v", len(objects)+1, err)
		}
		if len(object) > 0 {
			objects = append(objects, object)
		}
	}
}
