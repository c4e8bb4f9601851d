package manifests

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/runtime/schema"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

func TestFastRulesAgreeWithTheValidatorOfTheAPIServer(t *testing.T) {
	d := testDecoder(t)
	kept, broken := 0, 0
	for _, name := range []string{"accepted.yaml", "refused.yaml", "route.yaml"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range split(name, data) {
			asJSON, _, err := toJSON(document)
			if err != nil {
				continue
			}
			object, err := parse(asJSON)
			if err != nil {
				continue
			}
			apiVersion, _ := object["apiVersion"].(string)
			kindName, _ := object["kind"].(string)
			gv, _ := schema.ParseGroupVersion(apiVersion)
			c, ok := d.kinds[schema.GroupKind{Group: gv.Group, Kind: kindName}].versions[gv.Version].(*custom)
			if !ok {
				continue
			}
			s, err := c.compiled()
			if err != nil {
				t.Fatal(err)
			}
			if !s.fast {
				t.Errorf("%s cannot be checked fast", kindName)
			}
			_, _ = c.coerce(s, request{object: object})
			defaulting.Default(object, s.structural)
			budget := int64(celconfig.RuntimeCELCostBudget)
			got := s.rules.kept(t.Context(), object, &budget)
			errs, left := s.validator().Validate(t.Context(), nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
			if want := len(errs) == 0; got != want {
				t.Errorf("%s:%d: kept is %v, the validator says %v", name, document.line, got, errs)
			} else if want {
				kept++
				if budget != left {
					t.Errorf("%s:%d: budget left %d, want %d", name, document.line, budget, left)
				}
			} else {
				broken++
			}
		}
	}
	if kept < 5 || broken < 5 {
		t.Errorf("only %d kept and %d broken", kept, broken)
	}
}
