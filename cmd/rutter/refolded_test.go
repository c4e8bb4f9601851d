package main

import (
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/envoy"
)

// What was published by another fold version, and comes out otherwise by this one, is a
// preview of the upgrade, in routing terms.
func TestVerifyTellsWhatAnUpgradeChanges(t *testing.T) {
	p := newPast(t)
	p.step(`{kind: GatewayClass, metadata: {name: rutter}, spec: {controllerName: rutter.dev/gateway-controller}}
---
{kind: Gateway, metadata: {namespace: default, name: web}, spec: {gatewayClassName: rutter, listeners: [{name: http, port: 80, protocol: HTTP}]}}
---
{kind: Service, metadata: {namespace: default, name: a}, spec: {ports: [{port: 80}]}}
---
{kind: HTTPRoute, metadata: {namespace: default, name: r}, spec: {parentRefs: [{name: web}], hostnames: [a.org], rules: [{backendRefs: [{name: a, port: 80}]}]}}
`)
	if out, code := p.rutter("verify"); code != exitFine || strings.Contains(out, "of this build") {
		t.Fatalf("verify exits with %d: %s", code, out)
	}
	// Another release left the host out.
	published := p.published()
	p.record(events.ObjectApplied, events.Key{Resource: events.Namespaces, Name: "n"}, map[string]any{})
	now := p.engine.State()
	other := &routing.Snapshot{
		Version: now.Version, Previous: published.Version, FoldVersion: 99, Time: now.Time, Chain: now.Chain, VerdictDigest: published.VerdictDigest,
	}
	d := routing.GatewayDelta{Gateway: "default/web", Digest: published.Gateways["default/web"].Digest}
	for name, r := range published.Gateways["default/web"].Resources {
		if name.Type == envoy.TypeScope && strings.Contains(name.Name, "a.org") {
			d.Removed = append(d.Removed, name)
			d.Digest = d.Digest.Sub(name.Member(r.Digest))
		}
	}
	other.Gateways = []routing.GatewayDelta{d}
	messages, err := routing.EncodeSnapshot("local", other, 1<<20)
	must(t, err)
	_, err = p.snapshots.Publish(t.Context(), messages...)
	must(t, err)

	out, code := p.rutter("verify")
	for _, want := range []string{
		"preview: version " + now.Version.String(), "(published under fold version 99, this build has 1)",
		"of this build, in place of what was published", "+ host http-80 a.org", "0 could not be compared",
	} {
		if want = strings.ReplaceAll(want, p.incarnation, "INCARNATION"); !strings.Contains(out, want) {
			t.Errorf("verify does not say %q:\n%s", want, out)
		}
	}
	if code != exitFine {
		t.Errorf("a preview is no error, and verify exits with %d", code)
	}
	if out, _ := p.rutter("verify", "-o", "json"); !strings.Contains(out, `"hostname": "a.org"`) {
		t.Errorf("as JSON it does not say what differs:\n%s", out)
	}
}

// published is the newest version.
func (p *past) published() *routing.State {
	p.t.Helper()
	state, _ := p.newest()
	return state
}

// newest is the newest version, and where in SNAPSHOTS it ends.
func (p *past) newest() (*routing.State, events.Version) {
	p.t.Helper()
	bucket, err := p.log.Bucket(p.t.Context(), routing.CheckpointBucket)
	must(p.t, err)
	follower, err := routing.Follow(p.t.Context(), p.snapshots, bucket)
	must(p.t, err)
	defer follower.Close()
	state, err := follower.Load(p.t.Context())
	must(p.t, err)
	return state, follower.Position()
}
