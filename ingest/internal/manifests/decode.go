package manifests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
)

// maxDocument is the size of the largest request that the API server reads.
const maxDocument = 3 << 20

// verdict is what a document (or an item of a list) came to: accepted unless it
// is refused or ignored.
type verdict struct {
	// key is the object that the document is about; zero if that cannot be read.
	key  events.Key
	hash routing.Digest // normalize.Hash of the object
	// object is its normalize.JSON, until it is known whether it is needed, and nil
	// for a document that was accepted before. What is needed all the same, because
	// another document gives way to this one, is read again: the file has it.
	object  []byte
	refused string
	ignored string

	endpoint endpoint
}

// decoder turns documents into verdicts. It may be used by several goroutines.
type decoder struct {
	kinds map[schema.GroupKind]kind
}

func newDecoder() (*decoder, error) {
	all, err := kinds()
	if err != nil {
		return nil, fmt.Errorf("read the embedded definitions: %w", err)
	}
	return &decoder{kinds: all}, nil
}

// decode gives the verdicts on a document: one, or one for each item of a list.
func (d *decoder) decode(t text) []*verdict {
	refuse := func(err error) []*verdict { return []*verdict{{refused: err.Error()}} }
	if t.err != nil {
		return refuse(t.err)
	}
	if len(t.data) > maxDocument {
		//nolint:staticcheck // the API server's own words
		return refuse(fmt.Errorf("Request entity too large: limit is %d", maxDocument))
	}
	asJSON, strict, err := toJSON(t)
	if err != nil {
		return refuse(err)
	}
	return d.json(asJSON, strict)
}

// toJSON converts a document; strict are its duplicate keys. Errors name lines
// of the file, not of the document.
func toJSON(t text) (out []byte, strict []error, err error) {
	if t.json {
		return t.data, nil, nil
	}
	if out, err = yaml.YAMLToJSONStrict(t.data); err == nil {
		return out, nil, nil
	}
	// Not well-formed, or a key twice: lines before the document make the parser count right.
	padded := append(bytes.Repeat([]byte("\n"), t.skip), t.data...)
	_, duplicate := yaml.YAMLToJSONStrict(padded)
	if out, err = yaml.YAMLToJSON(padded); err != nil {
		return nil, nil, fmt.Errorf("error converting YAML to JSON: %w", err)
	}
	return out, []error{duplicate}, nil
}

func (d *decoder) json(data []byte, strict []error) []*verdict {
	var object map[string]any
	duplicates, err := kjson.UnmarshalStrict(data, &object)
	if err != nil || object == nil {
		return []*verdict{{refused: "the document is not an object"}}
	}
	strict = append(strict, duplicates...)
	if items, ok := object["items"].([]any); ok && isList(object) && len(strict) == 0 {
		var out []*verdict
		for _, item := range items {
			encoded, err := json.Marshal(item)
			if err != nil {
				out = append(out, &verdict{refused: err.Error()})
				continue
			}
			out = append(out, d.json(encoded, nil)...)
		}
		return out
	}
	return []*verdict{d.object(request{json: data, object: object, strict: strict})}
}

func isList(object map[string]any) bool {
	kind, _ := object["kind"].(string)
	return strings.HasSuffix(kind, "List") && kind != ""
}

// object is the verdict on a single object.
func (d *decoder) object(r request) *verdict {
	apiVersion, _ := r.object["apiVersion"].(string)
	kindName, _ := r.object["kind"].(string)
	switch {
	case kindName == "":
		return &verdict{refused: "Object 'Kind' is missing"}
	case apiVersion == "":
		return &verdict{refused: "Object 'apiVersion' is missing"}
	}
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return &verdict{refused: err.Error()}
	}
	r.kind = gv.WithKind(kindName)
	k, ok := d.kinds[r.kind.GroupKind()]
	if !ok {
		return &verdict{ignored: fmt.Sprintf("%s %s is not a kind that is read here", apiVersion, kindName)}
	}
	out := &verdict{key: keyOf(r.object, k)}
	e, ok := k.versions[gv.Version]
	if !ok {
		out.refused = fmt.Sprintf("no matches for kind %q in version %q", kindName, apiVersion)
		return out
	}
	object, err := e.create(r)
	if err != nil {
		out.refused = err.Error()
		return out
	}
	object = normalize.Object(k.resource, object)
	hash, err := normalize.Hash(object)
	if err != nil {
		out.refused = err.Error()
		return out
	}
	if out.object, err = normalize.JSON(object); err != nil {
		out.refused = err.Error()
		return out
	}
	out.hash, out.endpoint = hash, e
	return out
}

// keyOf names the object as far as it can be read before it is validated; a
// document without a usable name has the zero key.
func keyOf(object map[string]any, k kind) events.Key {
	metadata, _ := object["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	namespace, _ := metadata["namespace"].(string)
	switch {
	case name == "":
		return events.Key{}
	case !k.namespaced:
		namespace = ""
	case namespace == "":
		namespace = metav1.NamespaceDefault
	}
	return events.Key{Resource: k.resource, Namespace: namespace, Name: name}
}

// accepted tells whether the document puts an object in force.
func (v *verdict) accepted() bool { return v.refused == "" && v.ignored == "" }

// compares tells whether the object of v, which has it, is compared with its
// next version.
func (v *verdict) compares() bool { return v.endpoint != nil && v.endpoint.compares() }

// replace says whether the API server would let the object of v, which has it,
// take the place of old.
func (v *verdict) replace(old []byte) error {
	if old == nil || !v.compares() {
		return nil
	}
	object, err := parse(v.object)
	if err != nil {
		return err
	}
	before, err := parse(old)
	if err != nil {
		return err
	}
	return v.endpoint.update(object, before)
}

// parse reads an object with integers as int64.
func parse(data []byte) (map[string]any, error) {
	var object map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &object); err != nil {
		return nil, fmt.Errorf("decode object: %w", err)
	}
	return object, nil
}
