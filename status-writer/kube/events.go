package kube

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

// maxNote is how long the note of an Event may be, in bytes.
const maxNote = 1024

// announce makes Events of what a write began to refuse, or to warn of. The recorder
// counts the same one up instead of writing it again, and never holds up a write.
func (s *Statuses) announce(key events.Key, before, after conditions.Object) {
	if s.Events == nil {
		return
	}
	object := corev1.ObjectReference{
		APIVersion: groupVersion(key.Resource).String(), Kind: kinds()[key.Resource],
		Namespace: key.Namespace, Name: key.Name, UID: types.UID(after.UID),
	}
	for _, r := range conditions.Refusals(before, after, s.ControllerName) {
		s.Events.Record(Event{Regarding: object, Related: parentOf(key, r.Parent), Reason: r.Reason, Action: "Attach", Note: note(r.Message)})
	}
	for _, w := range conditions.Warnings(before, after, s.ControllerName) {
		if w.Parent != nil {
			s.Events.Record(Event{Regarding: object, Related: parentOf(key, *w.Parent), Reason: w.Reason, Action: "Route", Note: note(w.Message)})
		} else {
			s.Events.Record(Event{Regarding: object, Reason: w.Reason, Action: "Serve", Note: note("Listener " + w.Listener + ": " + w.Message)})
		}
	}
}

func note(message string) string {
	if len(message) > maxNote {
		return strings.ToValidUTF8(message[:maxNote], "")
	}
	return message
}

func parentOf(route events.Key, ref gatewayv1.ParentReference) corev1.ObjectReference {
	parent := corev1.ObjectReference{
		APIVersion: gatewayv1.GroupVersion.String(), Kind: "Gateway", Namespace: route.Namespace, Name: string(ref.Name),
	}
	if ref.Kind != nil {
		parent.Kind = string(*ref.Kind)
	}
	if ref.Namespace != nil {
		parent.Namespace = string(*ref.Namespace)
	}
	return parent
}
