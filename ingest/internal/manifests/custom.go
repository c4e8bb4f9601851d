package manifests

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"sigs.k8s.io/yaml"
)

// To support another kind, add its plural name here and run go generate.
//
//go:generate go run ./crdgen backendtlspolicies gatewayclasses gateways grpcroutes httproutes listenersets referencegrants routingpins rutterclasses tcproutes tlsroutes udproutes

//go:embed crds/*.yaml
var definitions embed.FS

// hubOf is the version in which objects are handed on: v1, or the one that is stored
// where there is none. Between the versions of a kind nothing but apiVersion differs
// (conversion strategy None).
func hubOf(versions []apiextensionsv1.CustomResourceDefinitionVersion) string {
	hub := ""
	for _, v := range versions {
		if v.Name == "v1" || v.Storage && hub == "" {
			hub = v.Name
		}
	}
	return hub
}

// customKinds reads the embedded definitions.
func customKinds() (map[schema.GroupKind]kind, error) {
	all := map[schema.GroupKind]kind{}
	files, err := fs.Glob(definitions, "crds/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := definitions.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			return nil, fmt.Errorf("decode %s: %w", file, err)
		}
		k := kind{
			resource:   crd.Spec.Names.Plural,
			namespaced: crd.Spec.Scope == apiextensionsv1.NamespaceScoped,
			versions:   map[string]endpoint{},
		}
		for _, version := range crd.Spec.Versions {
			if version.Served {
				gvk := schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
				k.versions[version.Name] = newCustom(gvk, hubOf(crd.Spec.Versions), k.namespaced, version.Schema)
			}
		}
		all[schema.GroupKind{Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind}] = k
	}
	return all, nil
}

// custom is the endpoint of one version of a custom resource. Its schema is
// compiled on first use: the CEL rules of a kind take a noticeable time, and most
// versions are never asked for.
type custom struct {
	kind       schema.GroupVersionKind
	hub        string
	namespaced bool
	compiled   func() (*compiled, error)
}

// compiled is a schema in the forms that the steps of the API server need.
type compiled struct {
	structural *structuralschema.Structural
	openAPI    validation.SchemaValidator
	// rules accept a new object, where fast says that they can. validator words refusals
	// and knows about updates. It is compiled when it is first needed.
	rules     *rules
	fast      bool
	validator func() *cel.Validator
	// transitions tells whether some rule compares with the old object.
	transitions bool
}

func newCustom(gvk schema.GroupVersionKind, hub string, namespaced bool, in *apiextensionsv1.CustomResourceValidation) *custom {
	return &custom{kind: gvk, hub: hub, namespaced: namespaced, compiled: sync.OnceValues(func() (*compiled, error) {
		out, err := compile(in)
		if err != nil {
			return nil, fmt.Errorf("compile the schema of %s: %w", gvk, err)
		}
		return out, nil
	})}
}

func compile(in *apiextensionsv1.CustomResourceValidation) (*compiled, error) {
	var internal apiextensions.CustomResourceValidation
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(in, &internal, nil); err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	structural = structural.DeepCopy() // it shares its defaults with the definition
	if err := defaulting.PruneDefaults(structural); err != nil {
		return nil, err
	}
	openAPI, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	out := &compiled{structural: structural, openAPI: openAPI}
	out.rules, out.fast = compileRules(structural)
	out.validator = sync.OnceValue(func() *cel.Validator { return cel.NewValidator(structural, true, celconfig.PerCallLimit) })
	(&structuralschema.Visitor{Structural: func(s *structuralschema.Structural) bool {
		for _, rule := range s.XValidations {
			out.transitions = out.transitions || strings.Contains(rule.Rule, "oldSelf")
		}
		return false
	}}).Visit(structural)
	return out, nil
}

func (c *custom) create(r request) (map[string]any, error) {
	s, err := c.compiled()
	if err != nil {
		return nil, err
	}
	meta, err := c.coerce(s, r)
	if err != nil {
		return nil, fmt.Errorf("%s in version %q cannot be handled as a %s: %w", c.kind.Kind, c.kind.Version, c.kind.Kind, err)
	}
	defaulting.Default(r.object, s.structural)
	if errs := c.validate(s, r.object, nil, validateMetadata(meta, c.namespaced, validNames(c.kind.GroupKind()))); len(errs) > 0 {
		return nil, apierrors.NewInvalid(c.kind.GroupKind(), meta.Name, errs)
	}
	r.object["apiVersion"] = schema.GroupVersion{Group: c.kind.Group, Version: c.hub}.String()
	return r.object, nil
}

// coerce makes of unstructured JSON what decoding into a Go type would: typed
// metadata, no unknown fields, no nulls where none may be. Unknown fields are
// refused, as the API server does when kubectl asks for strict validation, which
// is kubectl's default. It follows unstructuredSchemaCoercer in
// apiextensions-apiserver/pkg/apiserver/customresource_handler.go.
func (c *custom) coerce(s *compiled, r request) (*metav1.ObjectMeta, error) {
	delete(r.object, "status") // a manifest cannot set it
	meta, found, unknown, err := objectmeta.GetObjectMetaWithOptions(r.object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return nil, err
	}
	if !found {
		meta = &metav1.ObjectMeta{}
	}
	unknown = append(unknown, pruning.PruneWithOptions(r.object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	defaulting.PruneNonNullableNullsWithoutDefaults(r.object, s.structural)
	fieldErr, paths := objectmeta.CoerceWithOptions(nil, r.object, s.structural, false, objectmeta.CoerceOptions{ReturnUnknownFieldPaths: true})
	if fieldErr != nil {
		return nil, fieldErr
	}
	if err := strictError(r.strict, append(unknown, paths...)); err != nil {
		return nil, err
	}
	r.object["kind"], r.object["apiVersion"] = c.kind.Kind, c.kind.GroupVersion().String()
	assignMetadata(meta, c.namespaced)
	return meta, objectmeta.SetObjectMeta(r.object, meta)
}

// validate is the strategy of a custom resource: Validate without an old object,
// ValidateUpdate with one (customresource/strategy.go, whose package would bring
// the whole of the API server's storage along). errs are those of the metadata.
func (c *custom) validate(s *compiled, object, old map[string]any, errs field.ErrorList) field.ErrorList {
	var rules []cel.Option
	if old == nil {
		errs = append(errs, byField(validation.ValidateCustomResource(nil, object, s.openAPI))...)
	} else {
		unchanged := common.NewCorrelatedObject(object, old, &model.Structural{Structural: s.structural})
		rules = append(rules, cel.WithRatcheting(unchanged))
		errs = append(errs, byField(validation.ValidateCustomResourceUpdate(nil, object, old, s.openAPI, validation.WithRatcheting(unchanged)))...)
	}
	errs = append(errs, objectmeta.Validate(context.Background(), nil, object, s.structural, false)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if s.fast && s.rules == nil {
		return errs
	}
	if blocksRules(errs) {
		return append(errs, field.Invalid(nil, nil, "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"))
	}
	return append(errs, byField(s.broken(object, old, rules))...)
}

// broken runs the validation rules.
func (s *compiled) broken(object, old map[string]any, options []cel.Option) field.ErrorList {
	ctx := context.Background()
	if old == nil {
		budget := int64(celconfig.RuntimeCELCostBudget)
		if s.fast && s.rules.kept(ctx, object, &budget) {
			return nil
		}
		errs, _ := s.validator().Validate(ctx, nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget, options...)
		return errs
	}
	errs, _ := s.validator().Validate(ctx, nil, s.structural, object, old, celconfig.RuntimeCELCostBudget, options...)
	return errs
}

// byField orders errors that were found in the order of a Go map, so that one
// mistake always has one message.
func byField(errs field.ErrorList) field.ErrorList {
	slices.SortStableFunc(errs, func(a, b *field.Error) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Error(), b.Error()))
	})
	return errs
}

// blocksRules tells whether an object is too malformed for its rules to be run.
func blocksRules(errs field.ErrorList) bool {
	for _, err := range errs {
		switch err.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}

func (c *custom) compares() bool {
	s, err := c.compiled()
	return err == nil && s.transitions
}

// update runs the rules that compare with the old object. An object that is
// valid by itself can break no other rule by replacing another one.
func (c *custom) update(object, old map[string]any) error {
	s, err := c.compiled()
	if err != nil || !s.transitions {
		return err
	}
	old = maps.Clone(old)
	old["apiVersion"] = object["apiVersion"]
	if errs := c.validate(s, object, old, nil); len(errs) > 0 {
		name, _ := object["metadata"].(map[string]any)["name"].(string)
		return apierrors.NewInvalid(c.kind.GroupKind(), name, errs)
	}
	return nil
}
