package manifests

import (
	"context"
	"slices"

	"github.com/google/cel-go/common/types"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/environment"
)

// rules answers one question fast: does a new object keep every validation rule?
// When it does not say yes, the API server's own cel.Validator is asked, which
// also finds the words. It runs the same compiled programs on the same values;
// what it saves is that cel.Validator copies all property schemas of an object
// at each field that a rule looks at, which is most of its cost.
type rules struct {
	programs   []cel.CompilationResult
	schema     common.Schema
	items      *rules
	properties map[string]*rules
	additional *rules
}

// compileRules compiles the rules of the schema of a resource: nil if there are
// none. With ok false the schema has rules that are beyond this type.
func compileRules(s *structuralschema.Structural) (r *rules, ok bool) {
	return compileBelow(s, remember(model.WithTypeAndObjectMeta(s)), true)
}

func compileBelow(s *structuralschema.Structural, schema common.Schema, root bool) (r *rules, ok bool) {
	if s.ValueValidation != nil && slices.ContainsFunc(s.ValueValidation.AllOf, hasNestedRules) {
		return nil, false
	}
	r, ok = &rules{schema: schema}, true
	if declared := model.SchemaDeclType(s, root); len(s.XValidations) > 0 && declared != nil {
		environments := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
		programs, err := cel.Compile(s, declared, celconfig.PerCallLimit, environments, cel.StoredExpressionsEnvLoader())
		if err != nil || slices.ContainsFunc(s.XValidations, usesOptionalOldSelf) {
			return nil, false
		}
		r.programs = programs
	}
	below := func(s *structuralschema.Structural, schema common.Schema) *rules {
		nested, fine := compileBelow(s, schema, s.XEmbeddedResource)
		ok = ok && fine
		return nested
	}
	if s.Items != nil {
		r.items = below(s.Items, schema.Items())
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		r.additional = below(s.AdditionalProperties.Structural, schema.AdditionalProperties().Schema())
	}
	for name, property := range s.Properties {
		if nested := below(&property, schema.Properties()[name]); nested != nil {
			if r.properties == nil {
				r.properties = map[string]*rules{}
			}
			r.properties[name] = nested
		}
	}
	if len(r.programs) == 0 && r.items == nil && r.additional == nil && r.properties == nil {
		return nil, ok
	}
	return r, ok
}

func hasNestedRules(n structuralschema.NestedValueValidation) bool {
	return len(n.ValidationExtensions.XValidations) > 0 || n.Items != nil || len(n.Properties) > 0 || n.AdditionalProperties != nil
}

func usesOptionalOldSelf(rule apiextensionsv1.ValidationRule) bool {
	return rule.OptionalOldSelf != nil && *rule.OptionalOldSelf
}

// kept tells whether a new object keeps every rule within the budget, which it
// reduces by what was spent.
func (r *rules) kept(ctx context.Context, object any, budget *int64) bool {
	if r == nil || object == nil {
		return true
	}
	if len(r.programs) > 0 {
		self := map[string]any{cel.ScopedVarName: common.UnstructuredToVal(object, r.schema)}
		for _, p := range r.programs {
			if !runs(ctx, p, self, budget) {
				return false
			}
		}
	}
	switch object := object.(type) {
	case []any:
		for _, item := range object {
			if !r.items.kept(ctx, item, budget) {
				return false
			}
		}
	case map[string]any:
		for name, value := range object {
			if !r.additional.kept(ctx, value, budget) || !r.properties[name].kept(ctx, value, budget) {
				return false
			}
		}
	}
	return true
}

// runs evaluates one rule. A rule about the old object does not concern a new one.
func runs(ctx context.Context, p cel.CompilationResult, self map[string]any, budget *int64) bool {
	switch {
	case p.Error != nil:
		return false
	case p.Program == nil, p.UsesOldSelf:
		return true
	}
	result, details, err := p.Program.ContextEval(ctx, self)
	if err != nil || result != types.True || details == nil || details.ActualCost() == nil {
		return false
	}
	cost := *details.ActualCost()
	if cost > uint64(*budget) {
		return false
	}
	*budget -= int64(cost)
	return true
}

// remembered is a schema that builds the schemas below it once.
type remembered struct {
	*model.Structural
	items      common.Schema
	properties map[string]common.Schema
	additional common.SchemaOrBool
}

func remember(s *structuralschema.Structural) common.Schema {
	r := &remembered{Structural: &model.Structural{Structural: s}}
	if s.Items != nil {
		r.items = remember(s.Items)
	}
	if s.Properties != nil {
		r.properties = make(map[string]common.Schema, len(s.Properties))
		for name, property := range s.Properties {
			r.properties[name] = remember(&property)
		}
	}
	if a := s.AdditionalProperties; a != nil {
		values := &rememberedValues{allows: a.Bool}
		if a.Structural != nil {
			values.schema = remember(a.Structural)
		}
		r.additional = values
	}
	return r
}

func (r *remembered) Items() common.Schema                      { return r.items }
func (r *remembered) Properties() map[string]common.Schema      { return r.properties }
func (r *remembered) AdditionalProperties() common.SchemaOrBool { return r.additional }

// rememberedValues is the schema of the values of a map.
type rememberedValues struct {
	schema common.Schema
	allows bool
}

func (v *rememberedValues) Schema() common.Schema { return v.schema }
func (v *rememberedValues) Allows() bool          { return v.allows }
