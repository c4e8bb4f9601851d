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
	about := Event{Object: key, UID: after.UID, Generation: after.Generation}
	for _, r := range conditions.Refusals(before, after, s.ControllerName) {
		e := about
		e.Related, e.Reason, e.Action, e.Note = parentOf(key, r.Parent), r.Reason, "Attach", note(r.Message)
		s.Events.Record(e)
	}
	for _, w := range conditions.Warnings(before, after, s.ControllerName) {
		e := about
		e.Reason, e.Action, e.Note = w.Reason, "Serve", note(w.Message)
		switch {
		case w.Parent != nil:
			e.Related, e.Action = parentOf(key, *w.Parent), "Route"
		case w.Listener != "":
			e.Note = note("Listener " + w.Listener + ": " + w.Message)
		}
		s.Events.Record(e)
	}
}

// regarding is what an Event is about.
func (e *Event) regarding() corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: groupVersion(e.Object.Resource).String(), Kind: kinds()[e.Object.Resource],
		Namespace: e.Object.Namespace, Name: e.Object.Name, UID: types.UID(e.UID),
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
