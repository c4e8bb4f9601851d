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
    "managedFields": [{"manager": "helm", "operation": "Apply", "time": "2026-11-23T04:05:06Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}}],
    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "a"}
  },
  "spec": {"fieldOfTheFuture": {"b": 2, "a": 1}},
  "status": {"conditions": [{"type": "Ready"}], "loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
}`

func TestBookkeepingIsDroppedAndTheRestStays(t *testing.T) {
	in := parse(t, observed)
	before := payload(t, in)
	const by = `"managedFields":[{"manager":"helm","operation":"Apply","time":"2026-11-23T04:05:06Z"}],`
	for resource, want := range map[string]string{
		events.Services: `{"apiVersion":"v1","kind":"Service","metadata":{"annotations":{"team":"a"},` + by + `"name":"web","resourceVersion":"7","uid":"u1"},` +
			`"spec":{"fieldOfTheFuture":{"a":1,"b":2}},"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}`,
		events.Gateways: `{"apiVersion":"v1","kind":"Service","metadata":{"annotations":{"team":"a"},` + by + `"name":"web","resourceVersion":"7","uid":"u1"},` +
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

func TestWhoWroteLastIsKeptAndIsNoChange(t *testing.T) {
	entry := func(manager, at, subresource string) string {
		return `{"manager":"` + manager + `","operation":"Update","time":"2026-11-23T` + at + `Z","subresource":"` + subresource + `","fieldsV1":{"f:x":{}}}`
	}
	for want, entries := range map[string]string{
		"kubectl": entry("kubectl", "04:00:00", "") + "," + entry("rutter", "05:00:00", "status"),
		"argo":    entry("helm", "04:00:00", "") + "," + entry("argo", "04:00:01", ""),
		"last":    entry("first", "04:00:00", "") + "," + entry("last", "04:00:00", ""),
		"newest":  entry("newest", "04:00:02", "") + "," + entry("older", "04:00:00", ""),
		"":        entry("rutter", "05:00:00", "status"),
	} {
		in := parse(t, `{"metadata":{"name":"a","managedFields":[`+entries+`]}}`)
		var recorded struct {
			Metadata struct{ ManagedFields []map[string]any }
		}
		if err := json.Unmarshal([]byte(payload(t, normalize.Object(events.Gateways, in))), &recorded); err != nil {
			t.Fatal(err)
		}
		kept := recorded.Metadata.ManagedFields
		switch {
		case want == "" && len(kept) == 0:
		case len(kept) != 1 || kept[0]["manager"] != want || kept[0]["fieldsV1"] != nil:
			t.Errorf("kept %v, want %s", kept, want)
		}
		if hash(t, normalize.Object(events.Gateways, in)) != hash(t, parse(t, `{"metadata":{"name":"a"}}`)) {
			t.Error("who wrote counts as a change")
		}
	}
}

func TestOfADefinitionTheReleaseIsKeptAndNoSchema(t *testing.T) {
	in := parse(t, `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
		"metadata":{"name":"gateways.gateway.networking.k8s.io","uid":"u1","labels":{"a":"b"},
			"annotations":{"gateway.networking.k8s.io/bundle-version":"v1.7.0","gateway.networking.k8s.io/channel":"standard","api-approved.kubernetes.io":"x"}},
		"spec":{"group":"gateway.networking.k8s.io","scope":"Namespaced","names":{"plural":"gateways","kind":"Gateway","listKind":"GatewayList"},
			"versions":[{"name":"v1","served":true,"storage":true,"schema":{"large":true}}]},
		"status":{"acceptedNames":{},"conditions":[{"type":"NamesAccepted","status":"True"},{"type":"Established","status":"True","lastTransitionTime":"x"}]}}`)
	want := `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",` +
		`"metadata":{"annotations":{"gateway.networking.k8s.io/bundle-version":"v1.7.0","gateway.networking.k8s.io/channel":"standard"},` +
		`"labels":{"a":"b"},"name":"gateways.gateway.networking.k8s.io","uid":"u1"},` +
		`"spec":{"group":"gateway.networking.k8s.io","names":{"kind":"Gateway","plural":"gateways"},"scope":"Namespaced",` +
		`"versions":[{"name":"v1","served":true,"storage":true}]},"status":{"conditions":[{"status":"True","type":"Established"}]}}`
	if got := payload(t, normalize.Object(events.CustomResourceDefinitions, in)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
