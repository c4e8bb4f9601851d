// Package parameters reads what a GatewayClass says of its Gateways. It is pure: values
// in, values out.
//
//	Source (the spec of a RutterClass, what it refers to, an annotation) ──Read──► Parameters, or why not
//
// It promises that what it returns can be put into force as a whole: a format that Envoy
// would refuse, or an annotation that the API server would, is refused here, in words for
// whoever wrote it. What a schema can say is in the schema of the kind
// (deploy/helm/rutter/crds).
//
// Package fold reads them, since those that could be used last stay in force; package
// route makes of them what each Gateway does. Read this file first.
package parameters

import (
	"fmt"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
)

// LayoutAnnotation on a GatewayClass chooses the layout of its Gateways: LayoutPlain or
// LayoutScoped.
const LayoutAnnotation = "rutter.dev/route-layout"

// The layouts, see package route.
const (
	LayoutPlain  = "plain"
	LayoutScoped = "scoped"
)

// Source is all that the parameters of a class are made from. It is stored in
// checkpoints.
type Source struct {
	// Layout is what LayoutAnnotation says; "" is nothing.
	Layout string `json:"layout,omitempty"`
	// Spec is nil for a class without a RutterClass.
	Spec *v1alpha1.RutterClassSpec `json:"spec,omitempty"`
	// Keys is the key set that Spec refers to; "" where it does not.
	Keys string `json:"keys,omitempty"`
}

// Parameters are those of a class; the zero value is that of one that says nothing.
type Parameters struct {
	Layout  string // "" is that of the settings
	Proxy   Proxy
	Log     AccessLog
	Edge    Edge
	Tenancy *Tenancy
}

// Read checks and takes over each section; why is what is wrong with the first.
func Read(from Source) (p *Parameters, why string) {
	p = &Parameters{Layout: from.Layout}
	if from.Spec == nil {
		return p, ""
	}
	if p.Proxy, why = newProxy(from.Spec.Proxy); why != "" {
		return nil, why
	}
	if p.Log, why = newAccessLog(from.Spec.AccessLog); why != "" {
		return nil, why
	}
	if p.Edge, why = newEdge(from.Spec.Edge); why != "" {
		return nil, why
	}
	if p.Tenancy, why = newTenancy(from.Spec.Tenancy, from.Keys); why != "" {
		return nil, why
	}
	return p, ""
}

// LayoutOf is what the annotations of a class say of the layout.
func LayoutOf(annotations map[string]string) (layout, why string) {
	layout, ok := annotations[LayoutAnnotation]
	if ok && layout != LayoutPlain && layout != LayoutScoped {
		return "", fmt.Sprintf("The annotation %s is %q; use %q or %q.", LayoutAnnotation, layout, LayoutPlain, LayoutScoped)
	}
	return layout, ""
}

// KeysOf is the ConfigMap whose key set a spec refers to; nil is none.
func KeysOf(spec *v1alpha1.RutterClassSpec) *v1alpha1.ConfigMapReference {
	if spec.Tenancy == nil || spec.Tenancy.Mode != v1alpha1.TenancyAuthHeader || spec.Tenancy.AuthHeader == nil {
		return nil
	}
	return spec.Tenancy.AuthHeader.JWKS.ConfigMapRef
}
