// Package examples_test keeps the manifests of the examples valid: each is what
// the API server of a cluster with the Gateway API's standard CRDs would accept
// (except for loopback addresses in EndpointSlices, which only a directory of
// manifests may have).
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

func TestExamplesAreValid(t *testing.T) {
	crds := loadCRDs(t)
	files, err := filepath.Glob("*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("find manifests: %v, %d files", err, len(files))
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, object := range gwtest.Objects(t, string(data)) {
				for _, problem := range problems(t, crds, object) {
					t.Errorf("%s %v: %s", object["kind"], object["metadata"], problem)
				}
			}
		})
	}
}

// problems are those of one object: a core object must decode strictly, one of
// the Gateway API must pass the schema and the rules of its CRD.
func problems(t *testing.T, crds map[string]*apiextensionsv1.CustomResourceDefinition, object map[string]any) []string {
	t.Helper()
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	core := map[string]any{
		"v1/Namespace":                      &corev1.Namespace{},
		"v1/Secret":                         &corev1.Secret{},
		"v1/Service":                        &corev1.Service{},
		"discovery.k8s.io/v1/EndpointSlice": &discoveryv1.EndpointSlice{},
	}
	if into := core[apiVersion+"/"+kind]; into != nil {
		data, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(data, into); err != nil {
			return []string{err.Error()}
		}
		return nil
	}
	crd := crds[kind]
	if crd == nil || !strings.HasPrefix(apiVersion, crd.Spec.Group+"/") {
		return []string{"there is no CRD for " + apiVersion + " " + kind}
	}
	for _, version := range crd.Spec.Versions {
		if apiVersion == crd.Spec.Group+"/"+version.Name && version.Served {
			return againstSchema(t, version.Schema.OpenAPIV3Schema, object)
		}
	}
	return []string{apiVersion + " is not served for " + kind}
}

func againstSchema(t *testing.T, v1Schema *apiextensionsv1.JSONSchemaProps, object map[string]any) (found []string) {
	t.Helper()
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v1Schema, &internal, nil); err != nil {
		t.Fatal(err)
	}
	structural, err := schema.NewStructural(&internal)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		t.Fatal(err)
	}
	unknown := pruning.PruneWithOptions(object, structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		found = append(found, "unknown field "+path)
	}
	defaulting.Default(object, structural)
	list := validation.ValidateCustomResource(nil, object, validator)
	rules, _ := cel.NewValidator(structural, true, celconfig.PerCallLimit).
		Validate(t.Context(), nil, structural, object, nil, celconfig.RuntimeCELCostBudget)
	for _, problem := range append(list, rules...) {
		found = append(found, problem.Error())
	}
	return found
}

// loadCRDs reads the CRDs of the standard channel from the module that go.mod names, by kind.
func loadCRDs(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatalf("find the gateway-api module: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config/crd/standard/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("find the CRDs: %v, %d files", err, len(files))
	}
	crds := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(data, crd); err != nil {
			t.Fatalf("read %s: %v", file, err)
		}
		crds[crd.Spec.Names.Kind] = crd
	}
	return crds
}
