package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TestForeignEntriesStayByteForByte makes random statuses, of which this build may
// not know all fields, and random verdicts. Whatever we say, the bytes of what is
// not ours are in the patch as they were, in their order.
func TestForeignEntriesStayByteForByte(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	for range 2000 {
		status, foreign := randomStatus(random)
		o := &object{Status: status}
		o.Name, o.Namespace, o.UID, o.Generation, o.ResourceVersion = "r", "default", "u", 5, "7"
		e := newEntry(o)
		before, err := decode(routeKey("r"), e)
		if err != nil {
			t.Fatalf("%v: %s", err, status)
		}
		v := verdict(o, []string{"a", "b", "c"}[:random.IntN(4)]...)
		v.Generation = 5
		body, err := patch(e, before, of(v)(before))
		if err != nil {
			t.Fatal(err)
		}
		if body == nil {
			continue
		}
		// The server would store it so; and so what is foreign is still in its order.
		at := 0
		for _, entry := range foreign {
			i := bytes.Index(body[at:], []byte(entry))
			if i < 0 {
				t.Fatalf("lost: %s\nof: %s\nin: %s", entry, status, body)
			}
			at += i + len(entry)
		}
	}
}

// randomStatus is a status with entries of ours and of others, and the pieces of
// it that are not ours, in their order.
func randomStatus(random *rand.Rand) (status []byte, foreign []string) {
	var parents []string
	for range random.IntN(6) {
		if random.IntN(2) == 0 {
			entry := fmt.Sprintf(`{"controllerName":"example.com/%d","parentRef":{%s"name":"p%d"},"conditions":[%s]}`,
				random.IntN(3), unknown(random), random.IntN(3), strings.Join(randomConditions(random), ","))
			parents, foreign = append(parents, entry), append(foreign, entry)
			continue
		}
		name := []string{"a", "b", "c", "former"}[random.IntN(4)]
		theirs := randomConditions(random)
		all := append(theirs, `{"type":"Accepted","status":"True","reason":"Accepted","message":"","observedGeneration":4,"lastTransitionTime":"2026-01-01T00:00:00Z"}`)
		ref := fmt.Sprintf(`{"group":"gateway.networking.k8s.io","kind":"Gateway","name":%q}`, name)
		entry := fmt.Sprintf(`{"conditions":[%s],"controllerName":%q,"parentRef":%s}`, strings.Join(all, ","), controller, ref)
		parents = append(parents, entry)
	}
	return fmt.Appendf(nil, `{%s"parents":[%s]}`, unknown(random), strings.Join(parents, ",")), foreign
}

func randomConditions(random *rand.Rand) (out []string) {
	for i := range random.IntN(3) {
		out = append(out, fmt.Sprintf(`{%s"type":"example.com/%d","status":"True","reason":"R","message":"<&> é %d","lastTransitionTime":"2026-01-01T00:00:00Z"}`,
			unknown(random), i, random.IntN(1000)))
	}
	return out
}

// unknown is a field that a later version of the API may have, or none.
func unknown(random *rand.Rand) string {
	return []string{"", `"later":{"b":1.50,"a":[null,"x"]},`, `"soon":1e3,`}[random.IntN(3)]
}

func TestConditionsOfOthersWithinOurEntriesStay(t *testing.T) {
	theirs := `{"later":1.50,"type":"example.com/Seen","status":"True","reason":"R","message":"<&>","lastTransitionTime":"2026-01-01T00:00:00Z"}`
	o := &object{Status: json.RawMessage(`{"parents":[{"extra":{"b":1,"a":2},"controllerName":"` + controller + `","parentRef":{"group":"gateway.networking.k8s.io","kind":"Gateway","name":"a"},"conditions":[` + theirs + `]}],"more":7}`)}
	o.Name, o.Generation, o.ResourceVersion = "r", 1, "1"
	e := newEntry(o)
	before, err := decode(routeKey("r"), e)
	if err != nil {
		t.Fatal(err)
	}
	body, err := patch(e, before, of(verdict(o, "a"))(before))
	if err != nil || !strings.Contains(string(body), theirs) || !strings.Contains(string(body), `"extra":{"b":1,"a":2}`) || strings.Contains(string(body), `"more"`) {
		t.Errorf("got %s, %v", body, err)
	}
	if body, err := patch(e, before, before); body != nil || err != nil {
		t.Errorf("nothing changed, and the patch is %s, %v", body, err)
	}
}

func TestAFieldThatGoesIsTakenOut(t *testing.T) {
	o := &object{Status: json.RawMessage(`{"addresses":[{"type":"IPAddress","value":"10.0.0.1"}],"conditions":[]}`)}
	o.ResourceVersion = "1"
	e := newEntry(o)
	before, err := decode(gatewayKey("g"), e)
	if err != nil {
		t.Fatal(err)
	}
	after := before
	after.Gateway = &gatewayv1.GatewayStatus{}
	body, err := patch(e, before, after)
	if want := `{"metadata":{"resourceVersion":"1"},"status":{"addresses":null}}`; err != nil || string(body) != want {
		t.Errorf("got %s, %v", body, err)
	}
}
