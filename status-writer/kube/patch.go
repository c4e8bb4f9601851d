package kube

import (
	"bytes"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// decode is an entry as the change of a status sees it.
func decode(key events.Key, e entry) (conditions.Object, error) {
	o := conditions.Object{UID: e.uid, Generation: e.generation}
	if len(e.status) == 0 {
		return o, nil
	}
	var err error
	switch key.Resource {
	case events.GatewayClasses:
		o.Class = &gatewayv1.GatewayClassStatus{}
		err = json.Unmarshal(e.status, o.Class)
	case events.Gateways:
		o.Gateway = &gatewayv1.GatewayStatus{}
		err = json.Unmarshal(e.status, o.Gateway)
	case events.BackendTLSPolicies:
		o.Policy = &gatewayv1.PolicyStatus{}
		err = json.Unmarshal(e.status, o.Policy)
	case events.RoutingPins:
		o.Pin = &v1alpha1.RoutingPinStatus{}
		err = json.Unmarshal(e.status, o.Pin)
	case events.ListenerSets:
		o.ListenerSet = &gatewayv1.ListenerSetStatus{}
		err = json.Unmarshal(e.status, o.ListenerSet)
	default:
		o.Route = &gatewayv1.RouteStatus{}
		err = json.Unmarshal(e.status, o.Route)
	}
	if err != nil {
		return o, fmt.Errorf("read its status: %w", err)
	}
	return o, nil
}

// statusOf is the status of the object's kind, as a pointer.
func statusOf(o conditions.Object) any {
	switch {
	case o.Class != nil:
		return o.Class
	case o.Gateway != nil:
		return o.Gateway
	case o.ListenerSet != nil:
		return o.ListenerSet
	case o.Route != nil:
		return o.Route
	case o.Policy != nil:
		return o.Policy
	case o.Pin != nil:
		return o.Pin
	}
	return nil
}

// patch is the merge patch that makes the status in e, which reads as before, say
// what after says; nil when it does already. It is refused by the API server when
// the object is no longer as in e.
func patch(e entry, before, after conditions.Object) ([]byte, error) {
	was, is := statusOf(before), statusOf(after)
	if is == nil || was != nil && equality.Semantic.DeepEqual(was, is) {
		return nil, nil
	}
	old, err := encode(was)
	if err != nil {
		return nil, err
	}
	changed, err := encode(is)
	if err != nil {
		return nil, err
	}
	if changed, err = graft(e.status, old, changed); err != nil {
		return nil, err
	}
	fields, err := fieldsThatDiffer(e.status, changed)
	if err != nil || len(fields) == 0 {
		return nil, err
	}
	return encode(map[string]any{"metadata": map[string]string{"resourceVersion": e.version}, "status": fields})
}

// fieldsThatDiffer are those of changed that are not so in raw, and null for those that go.
func fieldsThatDiffer(raw, changed json.RawMessage) (map[string]json.RawMessage, error) {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	all, err := decodeEach[map[string]json.RawMessage](raw, changed)
	if err != nil {
		return nil, err
	}
	was, out := all[0], all[1]
	for name, value := range was {
		switch now, ok := out[name]; {
		case !ok:
			out[name] = json.RawMessage("null")
		case bytes.Equal(now, value):
			delete(out, name)
		}
	}
	return out, nil
}
