package main

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/natslog"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

func shopRoute(name string) string {
	return fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: %s, labels: {app: shop}}, spec: {hostnames: [a.example], rules: [{backendRefs: [{name: web, port: 80}]}]}}`, name)
}

func TestTheLogSaysWhoAskedForEachChange(t *testing.T) {
	o := newOffice(t)
	watcher := o.watch()
	o.install()
	o.awaitWebhook(watcher)
	t.Run("a route", func(t *testing.T) {
		o, alice, bob := o.in(t)
		r := o.story("httproute/default/r")
		alice.create(httproutes, "default", shopRoute("r"))
		r.goes("created: alice (tester)")
		bob.merge(httproutes, "default", "r", `{"spec":{"hostnames":["b.example"]}}`)
		r.goes("updated: bob (tester)")
		bob.merge(httproutes, "default", "r", `{"spec":{"hostnames":["b.example"]}}`) // again
		bob.merge(httproutes, "default", "r", `{"status":{"parents":[]}}`, "status")
		dry := o.as("alice")
		dry.dryRun = true
		dry.merge(httproutes, "default", "r", `{"spec":{"hostnames":["c.example"]}}`)
		dry.delete(httproutes, "default", "r")
		bob.merge(httproutes, "default", "r", `{"spec":{"hostnames":["c.example"]}}`)
		r.goes("updated: bob (tester)")
		alice.delete(httproutes, "default", "r")
		r.goes("deleted: alice")
		actor := o.log("httproute/default/r")[0].Actor
		if actor == nil || !slices.Equal(actor.Groups, []string{"team-alice", "system:authenticated"}) || actor.RequestUID == "" {
			t.Errorf("who asked is %+v", actor)
		}
	})
	t.Run("many at once, and one with finalizers", func(t *testing.T) {
		o, alice, bob := o.in(t)
		one, two := o.story("httproute/default/one"), o.story("httproute/default/two")
		alice.create(httproutes, "default", shopRoute("one"))
		alice.create(httproutes, "default", strings.Replace(shopRoute("two"), "labels:", `finalizers: [example.com/keep], labels:`, 1))
		one.goes("created: alice (tester)")
		two.goes("created: alice (tester)")
		must(t, bob.client.Resource(httproutes).Namespace("default").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "app=shop"}))
		one.goes("deleted: bob")
		two.goes("updated: bob (tester)")
		alice.merge(httproutes, "default", "two", `{"metadata":{"finalizers":null}}`)
		two.goes("deleted: bob")
	})
	t.Run("a Service, to which the API server and a load balancer add", func(t *testing.T) {
		o, alice, bob := o.in(t)
		web := o.story("service/default/web")
		alice.create(services, "default", `{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, ports: [{port: 80}]}}`)
		web.goes("created: alice (tester)")
		o.as("prober").merge(services, "default", "web", `{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}`, "status")
		web.goes("updated: prober (tester)")
		bob.merge(services, "default", "web", `{"spec":{"ports":[{"port":81}]}}`)
		web.goes("updated: bob (tester)")
	})
	t.Run("a Secret, by what is recorded of it", func(t *testing.T) {
		o, alice, bob := o.in(t)
		cert, gw := o.story("secret/default/cert"), o.story("gateway/default/gw")
		alice.create(secrets, "default", fmt.Sprintf(`{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {name: cert}, data: {%s}}`, keyPair(t)))
		alice.create(secrets, "default", `{apiVersion: v1, kind: Secret, metadata: {name: password}, stringData: {password: x}}`)
		bob.create(gateways, "default", `{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw}, spec: {gatewayClassName: rutter, listeners: [{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}]}}`)
		cert.goes("created: alice (tester)")
		gw.goes("created: bob (tester)")
		bob.merge(secrets, "default", "cert", fmt.Sprintf(`{"data":{%s}}`, keyPair(t)))
		cert.goes("updated: bob (tester)")
	})
	t.Run("a Namespace and a definition", func(t *testing.T) {
		o, alice, bob := o.in(t)
		shop, definition := o.story("namespace/shop"), o.story("customresourcedefinition/httproutes.gateway.networking.k8s.io")
		alice.create(namespaces, "", `{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`)
		shop.goes("created: alice (tester)")
		bob.delete(namespaces, "", "shop")
		shop.goes("updated: bob (tester)")
		definition.goes("created: nobody seen (Go-http-client)")
		bob.merge(definitions, "", "httproutes.gateway.networking.k8s.io", `{"metadata":{"labels":{"team":"edge"}}}`)
		definition.goes("updated: bob (tester)")
	})
	t.Run("only what is recorded is looked at, and nothing of its content is kept", func(t *testing.T) {
		o, _, _ := o.in(t)
		for _, m := range o.actors() {
			if strings.Contains(m.Subject, ".password") || strings.Contains(string(m.Data), "a.example") || strings.Contains(string(m.Data), "BEGIN") {
				t.Errorf("recorded %s %s", m.Subject, m.Data)
			}
		}
		for _, unseen := range []string{`reason="unreadable"`, `reason="full"`, `reason="log"`, `reason="unrecorded"`} {
			if strings.Contains(watcher.metrics(), unseen) {
				t.Errorf("dropped for %s", unseen)
			}
		}
		if !strings.Contains(watcher.metrics(), `rutter_ingest_actors_dropped_total{reason="unchanged"}`) {
			t.Error("what changes nothing is recorded")
		}
	})
}

// keyPair is the data of a Secret with a new certificate.
func keyPair(t *testing.T) string {
	t.Helper()
	cert, key := gwtest.Certificate(t, "a.example")
	return fmt.Sprintf(`"tls.crt":%q,"tls.key":%q`, base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(key))
}

// actors are the messages of ACTORS.
func (o *office) actors() (out []events.Message) {
	o.t.Helper()
	log, err := natslog.Connect(o.t.Context(), natslog.Config{URL: o.nats, Name: "test", Logger: slog.New(slog.DiscardHandler)})
	must(o.t, err)
	defer log.Close()
	s, err := log.Stream(o.t.Context(), events.StreamConfig{Name: events.StreamActors})
	must(o.t, err)
	info, err := s.Info(o.t.Context())
	must(o.t, err)
	reader := s.Reader(0)
	defer reader.Close()
	for uint64(len(out)) < info.Last {
		messages, err := reader.Next(o.t.Context())
		must(o.t, err)
		out = append(out, messages...)
	}
	return out
}

func TestNothingWaitsForWhoSeesWhoAsks(t *testing.T) {
	o := newOffice(t)
	watcher := o.watch()
	o.install()
	o.awaitWebhook(watcher)
	alice := o.as("alice")
	alice.create(httproutes, "default", shopRoute("seen"))
	o.story("httproute/default/seen").goes("created: alice (tester)")

	watcher.stop()
	unseen := o.story("httproute/default/unseen")
	began := time.Now()
	alice.create(httproutes, "default", shopRoute("unseen"))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a change took %v while nobody looked", took)
	}
	unseen.goes("created: nobody seen (tester)")

	// Somebody looks again.
	watcher = o.watch()
	o.awaitWebhook(watcher)
	alice.delete(httproutes, "default", "unseen")
	unseen.goes("deleted: alice")
}

func TestTheCertificateIsRenewedUnderUse(t *testing.T) {
	o := newOffice(t)
	watcher := o.watch()
	o.install()
	o.awaitWebhook(watcher)
	alice := o.as("alice")
	alice.create(httproutes, "default", shopRoute("r"))
	o.story("httproute/default/r").goes("created: alice (tester)")
	serials := map[string]bool{o.serial(): true}
	for i := range 30 {
		renewed := i%10 == 5
		if renewed {
			o.certify()
			serials[o.serial()] = true
		}
		host := fmt.Sprintf("h%d.example", i)
		alice.merge(httproutes, "default", "r", fmt.Sprintf(`{"spec":{"hostnames":[%q]}}`, host))
		if !renewed {
			continue
		}
		gwtest.Eventually(t, "the change is recorded", func() error {
			entries := o.log("httproute/default/r")
			if last := entries[len(entries)-1]; last.Fields == nil || last.Fields[0].After != host || last.Actor == nil {
				return fmt.Errorf("the log ends with %+v", last)
			}
			return nil
		})
	}
	if len(serials) != 4 {
		t.Errorf("%d certificates were served, want the first and three renewed", len(serials))
	}
	alice.delete(httproutes, "default", "r")
	var entries []history.Entry
	gwtest.Eventually(t, "who deleted it", func() error {
		entries = o.log("httproute/default/r")
		if last := entries[len(entries)-1]; last.Change != "deleted" || last.Actor == nil {
			return fmt.Errorf("the log ends with %+v", last)
		}
		return nil
	})
	for _, e := range entries { // two that follow closely may be recorded as one
		if e.Actor == nil || e.Actor.String() != "alice" {
			t.Errorf("%s: %s", e.Change, e.Who())
		}
	}
}
