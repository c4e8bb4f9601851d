package history

import (
	"fmt"
	"strings"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Object is a key as people write it: httproute/default/r, gatewayclass/rutter.
func Object(k events.Key) string {
	kind := singular(k.Resource)
	if k.Namespace == "" {
		return kind + "/" + k.Name
	}
	return kind + "/" + k.Namespace + "/" + k.Name
}

// ParseObject reads what [Object] writes, the full form with a plural, and
// httproute/r for one in the namespace default.
func ParseObject(s string) (events.Key, error) {
	parts := strings.Split(s, "/")
	for _, p := range parts {
		if p == "" {
			parts = nil
		}
	}
	if len(parts) < 2 || len(parts) > 3 {
		return events.Key{}, fmt.Errorf("object %q is not of the form kind/namespace/name or kind/name, such as httproute/default/shop", s)
	}
	k := events.Key{Resource: plural(strings.ToLower(parts[0])), Name: parts[len(parts)-1]}
	switch {
	case k.Resource == events.EndpointSlices:
		return k, fmt.Errorf("%s: endpoints are kept apart from configuration, and are not in this log", s)
	case len(parts) == 3 && parts[1] != "-":
		k.Namespace = parts[1]
	case len(parts) == 2 && !clusterScoped(k.Resource):
		k.Namespace = "default"
	}
	return k, nil
}

// Parent is what a route is attached to as people write it: the namespace/name of the
// Gateway, or listenerset/namespace/name.
func Parent(route events.Key, p routing.ParentVerdict) string {
	if p.Ref.Kind == nil || *p.Ref.Kind == "Gateway" {
		return p.Gateway
	}
	key := events.Key{Resource: plural(strings.ToLower(*p.Ref.Kind)), Namespace: route.Namespace, Name: p.Ref.Name}
	if p.Ref.Namespace != nil {
		key.Namespace = *p.Ref.Namespace
	}
	return Object(key)
}

func clusterScoped(resource string) bool {
	switch resource {
	case events.GatewayClasses, events.RutterClasses, events.Namespaces, "epoch", "sync", "customresourcedefinitions", events.ClusterTrustBundles:
		return true
	}
	return false
}

func plural(kind string) string {
	switch {
	case kind == "epoch" || kind == "sync" || kind == "verdict" || kind == "time":
		return kind
	case strings.HasSuffix(kind, "ss"):
		return kind + "es"
	case strings.HasSuffix(kind, "s"):
		return kind
	case strings.HasSuffix(kind, "y") && !strings.HasSuffix(kind, "ay"):
		return strings.TrimSuffix(kind, "y") + "ies"
	}
	return kind + "s"
}

func singular(resource string) string {
	switch {
	case strings.HasSuffix(resource, "sses"):
		return strings.TrimSuffix(resource, "es")
	case strings.HasSuffix(resource, "ies"):
		return strings.TrimSuffix(resource, "ies") + "y"
	}
	return strings.TrimSuffix(resource, "s")
}
