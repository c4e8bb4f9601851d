package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// planned is what a plan of manifests says, and its exit code.
func (p *past) planned(manifests string) (*plan, int) {
	p.t.Helper()
	p.stdin = []byte(manifests)
	out, code := p.rutter("plan", "-f", "-", "-o", "json")
	if code == exitFailed {
		p.t.Fatal(out)
	}
	found := &plan{}
	p.decode(out, found)
	return found, code
}

func TestAPluginOfKubectlSaysHowItIsCalled(t *testing.T) {
	var out strings.Builder
	run(t.Context(), environment{out: &out, err: &out, plugin: true}, []string{"plan", "--help"})
	run(t.Context(), environment{out: &out, err: &out, plugin: true}, []string{"plan", "--nothing"})
	for _, want := range []string{"kubectl rutter plan -f FILE", "`kubectl rutter plan --help` tells"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, out.String())
		}
	}
}

func TestAPlanChecksAKeyPairAndHoldsNoKey(t *testing.T) {
	p := newPast(t)
	p.step(bisectedWorld)
	cert, key := gwtest.Certificate(t, "shop.example.com")
	gateway := `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web}
spec: {gatewayClassName: rutter, listeners: [{name: http, port: 80, protocol: HTTP}, {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}]}
---
`
	secret := func(key []byte) string {
		return gateway + fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: cert}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: %q\n  tls.key: %q\n", cert, key)
	}
	if found, code := p.planned(secret(key)); code != exitFine || found.Worse || len(found.Unknown) != 1 || !strings.Contains(found.Unknown[0], "sealed") {
		t.Errorf("exit code %d: %+v", code, found)
	}
	_, other := gwtest.Certificate(t, "shop.example.com")
	found, code := p.planned(secret(other))
	if code != exitFound || !strings.Contains(fmt.Sprint(found.Conditions), "do not make a key pair") {
		t.Errorf("exit code %d: %+v", code, found)
	}
	p.stdin = []byte(secret(key))
	if out, _ := p.rutter("plan", "-f", "-", "-o", "yaml"); strings.Contains(out, "PRIVATE KEY") {
		t.Error("a private key is printed")
	}
}

func TestAPlanOfWhatIsRecordedChangesNothing(t *testing.T) {
	p := newPast(t)
	manifests := `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec: {hostnames: [shop.example.com], parentRefs: [{name: web}], rules: [{backendRefs: [{name: v1, port: 80}]}]}
`
	p.step(bisectedWorld + "---\n" + `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {namespace: default, name: shop, labels: {team: a}}, spec: {hostnames: [shop.example.com],
 parentRefs: [{name: web, group: gateway.networking.k8s.io, kind: Gateway}], rules: [{matches: [{path: {type: PathPrefix, value: /}}], backendRefs: [{name: v1, port: 80, group: "", kind: Service, weight: 1}]}]}}`)
	found, code := p.planned(manifests)
	if code != exitFine || len(found.Changes) != 1 || found.Changes[0].Change != "unchanged" || len(found.Conditions)+len(found.Gateways)+len(found.Destinations) > 0 {
		t.Errorf("exit code %d: %+v", code, found)
	}
}

func TestAPlanSaysWhichRequestsANewRuleTakesFromAnother(t *testing.T) {
	p := newPast(t)
	p.step(bisectedWorld + "---\n" + `{kind: Service, metadata: {namespace: default, name: v2}, spec: {ports: [{port: 80}]}}
---
{kind: HTTPRoute, metadata: {namespace: default, name: shop}, spec: {parentRefs: [{name: web}], hostnames: [shop.example.com], rules: [
 {matches: [{path: {type: PathPrefix, value: /cart}, method: POST}, {path: {type: Exact, value: /cart}}], backendRefs: [{name: v1, port: 80}]},
 {backendRefs: [{name: v1, port: 80}]}]}}`)
	found, code := p.planned(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: wild}
spec:
  parentRefs: [{name: web}]
  hostnames: ["*.example.com", shop.example.com]
  rules:
  - matches: [{path: {value: /cart}, headers: [{name: x-beta, value: "1"}]}]
    backendRefs: [{name: v2, port: 80, weight: 3}, {name: none, port: 80, weight: 1}]
`)
	var got []string
	for _, d := range found.Destinations {
		got = append(got, fmt.Sprintf("%s %s: %s → %s moved %v lost %v", d.Host, d.Match, strings.Join(d.Before, ", "), strings.Join(d.Now, ", "), d.Moved, d.Lost))
	}
	want := []string{
		"*.example.com prefix /cart header x-beta=1: 404 → default/v2/80 75%, 500: the backend cannot be resolved 25% moved 100 lost 0",
		"shop.example.com prefix /cart header x-beta=1: default/v1/80 → default/v2/80 75%, 500: the backend cannot be resolved 25% moved 100 lost 25",
	}
	if code != exitFound || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("exit code %d:\n%s", code, strings.Join(got, "\n"))
	}
}
