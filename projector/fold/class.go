package fold

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/parameters"
)

// Class is what a GatewayClass, whosever it is, says of its Gateways. Parameters that
// turn out to be unusable, or are gone, end nobody's traffic: the last that could be used
// stay in force for the Gateways that were there. What these were is in no present object, so
// that the fold keeps it; it judges after each event, however many are folded at once.
type Class struct {
	// Parameters are in force; nil where there never were any that could be used.
	Parameters *parameters.Parameters
	// Problem is why the newest cannot be used. Parameters are then the last that could.
	Problem string
	// From are the other objects that decided on this, whether or not they exist.
	From []events.Key

	uid    string
	source parameters.Source // of Parameters
	// failed is the sequence of the event since which there is a problem.
	failed uint64
}

// Runs tells whether a Gateway of the class has its parameters: while there is a problem,
// one that was of the class before has.
func (c *Class) Runs(gateway *Object) bool {
	return c.Parameters != nil && (c.Problem == "" || gateway.entered < c.failed)
}

// Class is that of the GatewayClass called name; nil where none was ever readable.
func (s *State) Class(name string) *Class { return s.classes[name] }

// judge brings the classes up to date that a changed object concerns.
func (s *State) judge(key events.Key, sequence uint64) {
	switch key.Resource {
	case events.GatewayClasses:
		s.judgeClass(key, sequence)
	case events.RutterClasses, events.ConfigMaps:
		for _, name := range slices.Sorted(maps.Keys(s.classes)) {
			if slices.Contains(s.classes[name].From, key) {
				s.judgeClass(events.Key{Resource: events.GatewayClasses, Name: name}, sequence)
			}
		}
	}
}

func (s *State) judgeClass(key events.Key, sequence uint64) {
	o := s.Object(key)
	gc := valueOf[gatewayv1.GatewayClass](o)
	if gc == nil {
		delete(s.classes, key.Name)
		return
	}
	source, from, why := s.sourceOf(o, gc)
	next := &Class{From: from, uid: o.UID, source: source}
	if why == "" {
		if next.Parameters, why = parameters.Read(source); why != "" {
			why = fmt.Sprintf("The %s %s: %s", v1alpha1.Kind, gc.Spec.ParametersRef.Name, why)
		}
	}
	if why != "" {
		next = &Class{Problem: why, From: from, uid: o.UID}
		if last := s.classes[key.Name]; last != nil && last.uid == o.UID && last.Parameters != nil {
			next.Parameters, next.source, next.failed = last.Parameters, last.source, sequence
			if last.Problem != "" {
				next.failed = last.failed
			}
		}
	}
	s.classes[key.Name] = next
}

// sourceOf reads what a class refers to, or says why that cannot be had
// (GatewayClassSpec.parametersRef), and which objects it looked at.
func (s *State) sourceOf(class *Object, gc *gatewayv1.GatewayClass) (source parameters.Source, from []events.Key, why string) {
	ref := gc.Spec.ParametersRef
	if source.Layout, why = parameters.LayoutOf(class.Annotations); why != "" || ref == nil {
		return source, nil, why
	}
	if ref.Group != v1alpha1.GroupName || ref.Kind != v1alpha1.Kind {
		return source, nil, fmt.Sprintf("spec.parametersRef names the %s %s of group %q, which Rutter does not read; use a %s of group %s.",
			ref.Kind, ref.Name, ref.Group, v1alpha1.Kind, v1alpha1.GroupName)
	}
	if ref.Namespace != nil {
		return source, nil, "spec.parametersRef names a namespace, but a RutterClass is in none; remove it."
	}
	from = []events.Key{{Resource: events.RutterClasses, Name: ref.Name}}
	o := s.Object(from[0])
	if o == nil {
		return source, from, fmt.Sprintf("The RutterClass %s does not exist.", ref.Name)
	}
	if o.Problem != "" {
		return source, from, fmt.Sprintf("The RutterClass %s cannot be read: %s.", ref.Name, o.Problem)
	}
	source.Spec = valueOf[v1alpha1.RutterClassSpec](o)
	if keys := parameters.KeysOf(source.Spec); keys != nil {
		from = append(from, events.Key{Resource: events.ConfigMaps, Namespace: keys.Namespace, Name: keys.Name})
		set := valueOf[Authorities](s.Object(from[1]))
		if set == nil {
			return source, from, fmt.Sprintf("The RutterClass %s: the ConfigMap %s/%s does not exist.", ref.Name, keys.Namespace, keys.Name)
		}
		source.Keys = set.JWKS
	}
	return source, from, ""
}

// valueOf is the value of an object, decoded again where the state keeps none; nil where
// there is none.
func valueOf[T any](o *Object) *T {
	if o == nil {
		return nil
	}
	if o.Value == nil && o.good != nil {
		again := &Object{Key: o.Key}
		if err := again.decode(o.good); err == nil {
			o = again
		}
	}
	value, _ := o.Value.(*T)
	return value
}

// enter notes when a Gateway came to its class; last is its form before.
func (o *Object) enter(last *Object) {
	o.entered = o.Sequence
	is, was := valueOf[gatewayv1.Gateway](o), valueOf[gatewayv1.Gateway](last)
	if is != nil && was != nil && last.UID == o.UID && is.Spec.GatewayClassName == was.Spec.GatewayClassName {
		o.entered = last.entered
	}
}

// checkpointClass is a class with a problem. Of the others the objects say everything.
type checkpointClass struct {
	Name   string            `json:"name"`
	Failed uint64            `json:"failed"`
	Source parameters.Source `json:"source"`
}

// failing are the classes that go on with parameters that are in no object, sorted.
func (s *State) failing() []checkpointClass {
	var out []checkpointClass
	for _, name := range slices.Sorted(maps.Keys(s.classes)) {
		if c := s.classes[name]; c.Problem != "" && c.Parameters != nil {
			out = append(out, checkpointClass{name, c.failed, c.source})
		}
	}
	return out
}

func (s *State) readClass(d *json.Decoder) error {
	var c checkpointClass
	if err := d.Decode(&c); err != nil {
		return err
	}
	last := &Class{Problem: "it was read from a checkpoint", source: c.Source, failed: c.Failed}
	last.Parameters, _ = parameters.Read(c.Source)
	s.classes[c.Name] = last
	return nil
}

// judgeAll is for a state of which all objects were read from a checkpoint.
func (s *State) judgeAll() {
	for _, o := range s.Objects(events.GatewayClasses) {
		if last := s.classes[o.Key.Name]; last != nil {
			last.uid = o.UID
		}
		s.judgeClass(o.Key, o.Sequence)
	}
}
