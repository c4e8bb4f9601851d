package files_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
	"github.com/rutter-gateway/rutter/status-writer/files"
)

func gatewayKey() events.Key {
	return events.Key{Resource: events.Gateways, Namespace: "default", Name: "gw"}
}

func object(reason string) conditions.Object {
	return conditions.Object{UID: "u", Generation: 1, Gateway: &gatewayv1.GatewayStatus{Conditions: []metav1.Condition{{
		Type: "Programmed", Status: "True", Reason: reason, Message: "Runs.", ObservedGeneration: 1,
		LastTransitionTime: metav1.NewTime(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)),
	}}}}
}

func open(t *testing.T, dir string) *files.Files {
	t.Helper()
	f, err := files.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func apply(t *testing.T, f *files.Files, key events.Key, o conditions.Object) bool {
	t.Helper()
	wrote, err := f.Apply(t.Context(), key, func(conditions.Object) conditions.Object { return o })
	if err != nil {
		t.Fatal(err)
	}
	return wrote
}

func TestFileShowsIdentityAndStatus(t *testing.T) {
	dir := t.TempDir()
	apply(t, open(t, dir), gatewayKey(), object("Programmed"))
	got, err := os.ReadFile(filepath.Join(dir, "gateways", "default", "gw.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  generation: 1
  name: gw
  namespace: default
  uid: u
status:
  conditions:
  - lastTransitionTime: "2026-11-01T12:00:00Z"
    message: Runs.
    observedGeneration: 1
    reason: Programmed
    status: "True"
    type: Programmed
`
	if string(got) != want {
		t.Errorf("got:\n%s", got)
	}
}

func TestUnchangedStatusIsNotWrittenNotEvenAfterARestart(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	if !apply(t, f, gatewayKey(), object("Programmed")) || apply(t, f, gatewayKey(), object("Programmed")) {
		t.Error("a status is to be written once")
	}
	f = open(t, dir)
	if apply(t, f, gatewayKey(), object("Programmed")) {
		t.Error("written again after a restart")
	}
	if !apply(t, f, gatewayKey(), object("Other")) {
		t.Error("a change is not written")
	}
}

func TestWhatWasAppliedIsFoundAndRemoved(t *testing.T) {
	dir := t.TempDir()
	class := events.Key{Resource: events.GatewayClasses, Name: "rutter"}
	f := open(t, dir)
	apply(t, f, gatewayKey(), object("Programmed"))
	apply(t, f, class, conditions.Object{Class: &gatewayv1.GatewayClassStatus{}})
	f = open(t, dir)
	if keys, err := f.Applied(t.Context()); err != nil || len(keys) != 2 || keys[0] != class || keys[1] != gatewayKey() {
		t.Errorf("got %v, %v", keys, err)
	}
	for range 2 {
		if _, err := f.Remove(t.Context(), class); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "gatewayclasses", "-", "rutter.yaml")); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestStatusOfAListenerSetIsReadAgain(t *testing.T) {
	dir, key := t.TempDir(), events.Key{Resource: events.ListenerSets, Namespace: "team", Name: "set"}
	o := conditions.Object{UID: "u", Generation: 1, ListenerSet: &gatewayv1.ListenerSetStatus{Listeners: []gatewayv1.ListenerEntryStatus{{Name: "web", AttachedRoutes: 2}}}}
	if !apply(t, open(t, dir), key, o) || apply(t, open(t, dir), key, o) {
		t.Error("a status is to be written once")
	}
}

func TestDamagedAndForeignFilesDoNoHarm(t *testing.T) {
	dir := t.TempDir()
	apply(t, open(t, dir), gatewayKey(), object("Programmed"))
	path := filepath.Join(dir, "gateways", "default", "gw.yaml")
	for name, content := range map[string]string{path: "status: [", filepath.Join(dir, "README"): "mine", filepath.Join(dir, "gateways", ".tmp-1"): "half"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := open(t, dir)
	if !apply(t, f, gatewayKey(), object("Programmed")) {
		t.Error("the damaged file is kept")
	}
	if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), "reason: Programmed") {
		t.Errorf("got %s, %v", data, err)
	}
	if keys, err := f.Applied(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("got %v, %v", keys, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "README")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "gateways", ".tmp-1")); !os.IsNotExist(err) {
		t.Errorf("half a file is still there: %v", err)
	}
}

func TestNameThatLeavesTheDirectoryIsRefused(t *testing.T) {
	f := open(t, t.TempDir())
	for _, name := range []string{"..", "../../x", "a/b"} {
		key := events.Key{Resource: events.Gateways, Namespace: "..", Name: name}
		if _, err := f.Apply(t.Context(), key, func(o conditions.Object) conditions.Object { o.UID = "x"; return o }); err == nil {
			t.Errorf("%s was written", key)
		}
	}
}
