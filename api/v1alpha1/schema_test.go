package v1alpha1_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
)

func definition(t *testing.T, plural string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	text, err := os.ReadFile("../../deploy/helm/rutter/crds/rutter.dev_" + plural + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, crd); err != nil {
		t.Fatal(err)
	}
	return crd
}

func TestTheSchemaHasExactlyTheFieldsOfTheType(t *testing.T) {
	for kind, spec := range map[string]reflect.Type{v1alpha1.Kind: reflect.TypeFor[v1alpha1.RutterClassSpec](), v1alpha1.KindPin: reflect.TypeFor[v1alpha1.RoutingPinSpec]()} {
		crd := definition(t, map[string]string{v1alpha1.Kind: "rutterclasses", v1alpha1.KindPin: "routingpins"}[kind])
		if crd.Spec.Group != v1alpha1.GroupName || crd.Spec.Names.Kind != kind || len(crd.Spec.Versions) != 1 || crd.Spec.Versions[0].Name != v1alpha1.Version {
			t.Errorf("the definition is of %s/%s", crd.Spec.Group, crd.Spec.Names.Kind)
		}
		schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		agree(t, kind+".spec", spec, &schema)
	}
}

// agree holds a type against a schema: the fields, which of them are required, and
// what they are.
func agree(t *testing.T, path string, of reflect.Type, schema *apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of == reflect.TypeFor[resource.Quantity]() {
		if !schema.XIntOrString {
			t.Errorf("%s is a quantity, and no int-or-string", path)
		}
		return
	}
	want := map[reflect.Kind]string{reflect.Struct: "object", reflect.Map: "object", reflect.Slice: "array", reflect.String: "string", reflect.Bool: "boolean", reflect.Int32: "integer"}[of.Kind()]
	if want == "" || schema.Type != want {
		t.Errorf("%s is a %s, and in the schema %q", path, of, schema.Type)
		return
	}
	switch of.Kind() {
	case reflect.Map:
		agree(t, path+".*", of.Elem(), schema.AdditionalProperties.Schema)
	case reflect.Slice:
		agree(t, path+"[]", of.Elem(), schema.Items.Schema)
	case reflect.Struct:
		var required []string
		for field := range of.Fields() {
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			property, ok := schema.Properties[name]
			if !ok {
				t.Errorf("%s.%s is not in the schema", path, name)
				continue
			}
			if options != "omitempty" {
				required = append(required, name)
			}
			agree(t, path+"."+name, field.Type, &property)
			delete(schema.Properties, name)
		}
		for name := range schema.Properties {
			t.Errorf("%s.%s is not in the type", path, name)
		}
		slices.Sort(required)
		slices.Sort(schema.Required)
		if !slices.Equal(required, schema.Required) {
			t.Errorf("of %s the type requires %v, and the schema %v", path, required, schema.Required)
		}
	}
}
