package record_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

func route(hostname, labels string) string {
	return fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute,
  metadata: {name: r, namespace: shop, labels: {%s}}, spec: {hostnames: [%s]}}`, labels, hostname)
}

func slice(address string) string {
	return fmt.Sprintf(`{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice,
  metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}},
  addressType: IPv4, ports: [{port: 8080}], endpoints: [{addresses: [%s]}]}`, address)
}

func gateway(secrets ...string) string {
	var refs []string
	for _, name := range secrets {
		refs = append(refs, "{name: "+name+"}")
	}
	return fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, namespace: shop},
  spec: {gatewayClassName: rutter, listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [%s]}}]}}`, strings.Join(refs, ", "))
}

func secret(t *testing.T, name string) string {
	t.Helper()
	cert, key := gwtest.Certificate(t, name+".example")
	return fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: %s, namespace: shop}, type: kubernetes.io/tls, data: {tls.crt: %s, tls.key: %s}}",
		name, base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(key))
}

var (
	routeKey = events.Key{Resource: events.HTTPRoutes, Namespace: "shop", Name: "r"}
	sliceKey = events.Key{Resource: events.EndpointSlices, Namespace: "shop", Name: "web-1"}
)

func TestIdentityIsGivenOutAsTheAPIServerWould(t *testing.T) {
	r := newRig(t)
	created := one(t, r.apply("r.yaml", route("a.example", "team: a")))
	if m := created.Metadata; m.Generation != 1 || m.ResourceVersion != "1" || m.UID == "" || m.CreationTimestamp != "2026-11-23T12:00:00Z" {
		t.Errorf("created with %+v", m)
	}
	if created.ID != created.Metadata.UID+"/1" || created.Type != events.ObjectApplied {
		t.Errorf("created as %s %s", created.Type, created.ID)
	}

	r.now = r.now.Add(time.Hour)
	labelled := one(t, r.apply("r.yaml", route("a.example", "team: b")))
	if m := labelled.Metadata; m.Generation != 1 || m.ResourceVersion != "2" {
		t.Errorf("a label changed: %+v", m)
	}
	changed := one(t, r.apply("r.yaml", route("b.example", "team: b")))
	if m := changed.Metadata; m.Generation != 2 || m.ResourceVersion != "3" ||
		m.UID != created.Metadata.UID || m.CreationTimestamp != created.Metadata.CreationTimestamp {
		t.Errorf("the spec changed: %+v after %+v", m, created.Metadata)
	}
	moved := one(t, r.apply("moved.yaml", route("b.example", "team: b")))
	if m := moved.Metadata; m.Generation != 2 || m.Annotations["rutter.dev/manifest"] != "moved.yaml" {
		t.Errorf("moved to another file: %+v", m)
	}

	deleted := one(t, r.remove(routeKey))
	if deleted.Type != events.ObjectDeleted || deleted.Metadata.UID != created.Metadata.UID || deleted.Metadata.ResourceVersion != "5" {
		t.Errorf("deleted as %s %+v", deleted.Type, deleted.Metadata)
	}
	again := one(t, r.apply("r.yaml", route("b.example", "team: b")))
	if m := again.Metadata; m.UID == created.Metadata.UID || m.Generation != 1 || m.CreationTimestamp != "2026-11-23T13:00:00Z" {
		t.Errorf("created again with %+v", m)
	}
}

func TestResourceVersionsRiseOverBothStreams(t *testing.T) {
	r := newRig(t)
	for i, e := range []recorded{
		one(t, r.apply("s.yaml", slice("10.0.0.1"))), one(t, r.apply("r.yaml", route("a.example", ""))),
		one(t, r.apply("s.yaml", slice("10.0.0.2"))), one(t, r.remove(routeKey)), one(t, r.remove(sliceKey)),
	} {
		if want := fmt.Sprint(i + 1); e.Metadata.ResourceVersion != want {
			t.Errorf("%s has the resourceVersion %s, want %s", e.Key, e.Metadata.ResourceVersion, want)
		}
	}
}

func TestWhatIsRecordedAlreadyGivesNoEvent(t *testing.T) {
	r := newRig(t)
	texts := []string{secret(t, "cert"), gateway("cert"), route("a.example", ""), slice("10.0.0.1")}
	for _, text := range texts {
		r.apply("a.yaml", text)
	}
	for _, text := range texts {
		if again := r.apply("a.yaml", text); len(again) > 0 {
			t.Errorf("recorded again: %s", keys(again))
		}
	}
	if gone := r.remove(events.Key{Resource: events.Services, Namespace: "shop", Name: "never-was"}); len(gone) > 0 {
		t.Errorf("recorded the deletion of nothing: %s", keys(gone))
	}
}

func TestEndpointsGoAheadOfRoutesAndDeletionsAfter(t *testing.T) {
	r := newRig(t)
	got := r.record(observed.Changes{Applied: append(objects(t, "r.yaml", route("a.example", "")), objects(t, "s.yaml", slice("10.0.0.1"))...)})
	if want := "applied endpointslices/shop/web-1, applied httproutes/shop/r"; keys(got) != want {
		t.Errorf("recorded %s, want %s", keys(got), want)
	}
	got = r.record(observed.Changes{Deleted: []observed.Deletion{{Key: sliceKey}, {Key: routeKey}}})
	if want := "deleted httproutes/shop/r, deleted endpointslices/shop/web-1"; keys(got) != want {
		t.Errorf("recorded %s, want %s", keys(got), want)
	}
}

func TestSecretsWaitForAGatewayAndThenGoAheadOfIt(t *testing.T) {
	r := newRig(t)
	if got := r.apply("s.yaml", secret(t, "cert")+"\n---\n"+secret(t, "other")); len(got) > 0 {
		t.Fatalf("recorded without a referrer: %s", keys(got))
	}
	if got, want := keys(r.apply("gw.yaml", gateway("cert"))), "applied secrets/shop/cert, applied gateways/shop/gw"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	if got, want := keys(r.apply("gw.yaml", gateway("cert", "other"))), "applied secrets/shop/other, applied gateways/shop/gw"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	// In one batch it is the same.
	r = newRig(t)
	if got, want := keys(r.apply("all.yaml", secret(t, "cert")+"\n---\n"+gateway("cert"))), "applied secrets/shop/cert, applied gateways/shop/gw"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
}

func TestAListenerSetIsAReferrerOfSecretsToo(t *testing.T) {
	r := newRig(t)
	set := `{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: set, namespace: team}, spec: {parentRef: {name: gw, namespace: shop},
  listeners: [{name: tls, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert, namespace: shop}, {name: other}]}}]}}`
	r.apply("s.yaml", secret(t, "cert")+"\n---\n"+secret(t, "other"))
	if got, want := keys(r.apply("set.yaml", set)), "applied secrets/shop/cert, applied listenersets/team/set"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	if got, want := keys(r.apply("s.yaml", strings.ReplaceAll(secret(t, "other"), "namespace: shop", "namespace: team"))), "applied secrets/team/other"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
}

func TestASecretThatIsDeletedWhileItWaitsIsForgotten(t *testing.T) {
	r := newRig(t)
	r.apply("s.yaml", secret(t, "cert"))
	if got := r.remove(events.Key{Resource: events.Secrets, Namespace: "shop", Name: "cert"}); len(got) > 0 {
		t.Errorf("recorded %s", keys(got))
	}
	if got, want := keys(r.apply("gw.yaml", gateway("cert"))), "applied gateways/shop/gw"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
}

const configMap = "{apiVersion: v1, kind: ConfigMap, metadata: {name: m, namespace: shop}, data: {ca.crt: b}}"

func policy(kind string) string {
	return fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: p, namespace: shop},
  spec: {targetRefs: [{group: "", kind: Service, name: web}], validation: {hostname: web.internal, caCertificateRefs: [{group: "", kind: %s, name: m}]}}}`, kind)
}

func TestConfigMapsAreRecordedOnlyForWhoRefersToThem(t *testing.T) {
	r := newRig(t)
	if got := r.apply("m.yaml", configMap+"\n---\n"+gateway("m")+"\n---\n"+policy("Secret")); keys(got) != "applied gateways/shop/gw, applied backendtlspolicies/shop/p" {
		t.Errorf("recorded %s", keys(got))
	}
	if got, want := keys(r.apply("p.yaml", policy("ConfigMap"))), "applied configmaps/shop/m, applied backendtlspolicies/shop/p"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	if changed := one(t, r.apply("m.yaml", strings.Replace(configMap, "b}", "c}", 1))); changed.Metadata.Generation != 0 {
		t.Errorf("a ConfigMap has the generation %d", changed.Metadata.Generation)
	}
}

func TestWhatAGatewayTrustsAndPresentsIsRecordedAheadOfIt(t *testing.T) {
	r := newRig(t)
	bundle := `{apiVersion: certificates.k8s.io/v1, kind: ClusterTrustBundle, metadata: {name: "signer:b"}, spec: {signerName: signer, trustBundle: x}}`
	gw := `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, namespace: shop}, spec: {gatewayClassName: rutter, listeners: [], tls: {
  backend: {clientCertificateRef: {name: own}},
  frontend: {default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: m, namespace: shop}]}},
    perPort: [{port: 443, tls: {validation: {caCertificateRefs: [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: "signer:b"}]}}}]}}}}`
	got := r.apply("all.yaml", strings.Join([]string{secret(t, "own"), secret(t, "other"), configMap, bundle, gw}, "\n---\n"))
	if want := "applied clustertrustbundles/-/signer:b, applied configmaps/shop/m, applied secrets/shop/own, applied gateways/shop/gw"; keys(got) != want {
		t.Errorf("recorded %s, want %s", keys(got), want)
	}
}

func TestWhatIsToBeRecordedAgainIsABaselineUnlessItChanged(t *testing.T) {
	r := newRig(t)
	text := secret(t, "cert")
	first := r.apply("all.yaml", text+"\n---\n"+gateway("cert"))[0]
	key := first.Key
	r.Events.Entries[key].Again = true
	r.Sealer = newSealer(t)
	again := one(t, r.apply("all.yaml", text))
	if again.Type != events.ObjectBaseline || again.Metadata.UID != first.Metadata.UID ||
		string(again.KeyPair.SealedKey) == string(first.KeyPair.SealedKey) || again.KeyPair.Fingerprint != first.KeyPair.Fingerprint {
		t.Errorf("recorded again as %s %+v %+v", again.Type, again.Metadata, again.KeyPair)
	}
	if got := r.apply("all.yaml", text); len(got) > 0 {
		t.Errorf("and once more: %s", keys(got))
	}
	r.Events.Entries[key].Again = true
	if changed := one(t, r.apply("all.yaml", secret(t, "cert"))); changed.Type != events.ObjectApplied {
		t.Errorf("a renewed certificate is recorded as %s", changed.Type)
	}
}

func TestABaselineIsTheSliceAsItWasRecorded(t *testing.T) {
	r := newRig(t)
	was := one(t, r.apply("s.yaml", slice("10.0.0.1")))
	r.now = r.now.Add(24 * time.Hour)
	e := r.Baseline(sliceKey, r.Endpoints.Entries[sliceKey], was.Data)
	if e.Type != events.ObjectBaseline || e.Key != sliceKey || e.ID != was.ID || string(e.Data) != string(was.Data) || !e.Time.Equal(r.now) {
		t.Errorf("baseline %+v, want %+v again", e, was)
	}
}
