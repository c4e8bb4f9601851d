package normalize_test

import (
	"encoding/json"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/normalize"
)

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func payload(t *testing.T, o map[string]any) string {
	t.Helper()
	out, err := normalize.JSON(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func hash(t *testing.T, o map[string]any) routing.Digest {
	t.Helper()
	out, err := normalize.Hash(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const observed = `{
  "kind": "Service", "apiVersion": "v1",
  "metadata": {
    "name": "web", "uid": "u1", "resourceVersion": "7", "selfLink": "/x",
    "managedFields": [{"manager": "kubectl"}],
    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "a"}
  },
  "spec": {"fieldOfTheFuture": {"b": 2, "a": 1}},
  "status": {"conditions": [{"type": "Ready"}], "loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
}`

func TestBookkeepingIsDroppedAndTheRestStays(t *testing.T) {
	in := parse(t, observed)
	before := payload(t, in)
	for resource, want := range map[string]string{
		events.Services: `{"apiVersion":"v1","kind":"Service","metadata":{"annotations":{"team":"a"},"name":"web","resourceVersion":"7","uid":"u1"},` +
			`"spec":{"fieldOfTheFuture":{"a":1,"b":2}},"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}`,
		events.Gateways: `{"apiVersion":"v1","kind":"Service","metadata":{"annotations":{"team":"a"},"name":"web","resourceVersion":"7","uid":"u1"},` +
			`"spec":{"fieldOfTheFuture":{"a":1,"b":2}}}`,
	} {
		if got := payload(t, normalize.Object(resource, in)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", resource, got, want)
		}
	}
	if payload(t, in) != before {
		t.Error("the object that was passed in was written to")
	}
}

func TestAnnotationsThatAreLeftEmptyGo(t *testing.T) {
	in := parse(t, `{"metadata":{"name":"a","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}`)
	if got, want := payload(t, normalize.Object(events.Gateways, in)), `{"metadata":{"name":"a"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHashIgnoresWhatIsAssignedAndNothingElse(t *testing.T) {
	a := parse(t, `{"metadata":{"name":"a","uid":"1","resourceVersion":"2","generation":3,"creationTimestamp":"2026-01-01T00:00:00Z"},"spec":{"x":1}}`)
	b := parse(t, `{"metadata":{"name":"a"},"spec":{"x":1}}`)
	if hash(t, a) != hash(t, b) {
		t.Error("minted metadata changes the hash")
	}
	for _, other := range []string{
		`{"metadata":{"name":"a"},"spec":{"x":2}}`,
		`{"metadata":{"name":"a","labels":{"l":"v"}},"spec":{"x":1}}`,
		`{"metadata":{"name":"b"},"spec":{"x":1}}`,
	} {
		if hash(t, parse(t, other)) == hash(t, b) {
			t.Errorf("%s has the same hash", other)
		}
	}
}
