package normalize

import (
	"maps"
	"strings"
)

// gatewayAnnotations are those that say which version and channel of the Gateway
// API a definition is of.
const gatewayAnnotations = "gateway.networking.k8s.io/"

// definition is what is recorded of a CustomResourceDefinition: what it defines, in
// which versions, of which release, and whether it is established. Its schemas are
// many times as large, and are the API server's business.
func definition(o map[string]any) map[string]any {
	out := map[string]any{"apiVersion": o["apiVersion"], "kind": o["kind"]}
	if metadata, ok := o["metadata"].(map[string]any); ok {
		metadata = keptMetadata(metadata)
		annotations, _ := metadata["annotations"].(map[string]any)
		annotations = maps.Clone(annotations)
		maps.DeleteFunc(annotations, func(name string, _ any) bool { return !strings.HasPrefix(name, gatewayAnnotations) })
		delete(metadata, "annotations")
		if len(annotations) > 0 {
			metadata["annotations"] = annotations
		}
		out["metadata"] = metadata
	}
	spec, _ := o["spec"].(map[string]any)
	out["spec"] = map[string]any{
		"group": spec["group"], "scope": spec["scope"],
		"names":    pick(spec["names"], "plural", "kind"),
		"versions": pickEach(spec["versions"], "name", "served", "storage"),
	}
	status, _ := o["status"].(map[string]any)
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		if condition, _ := c.(map[string]any); condition["type"] == "Established" {
			out["status"] = map[string]any{"conditions": []any{pick(condition, "type", "status")}}
		}
	}
	return out
}

// pick is a map with some of the fields of another.
func pick(from any, fields ...string) map[string]any {
	all, _ := from.(map[string]any)
	out := map[string]any{}
	for _, name := range fields {
		if value, ok := all[name]; ok {
			out[name] = value
		}
	}
	return out
}

func pickEach(from any, fields ...string) []any {
	list, _ := from.([]any)
	out := make([]any, 0, len(list))
	for _, e := range list {
		out = append(out, pick(e, fields...))
	}
	return out
}
