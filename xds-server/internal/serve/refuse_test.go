package serve

import (
	"bytes"
	"slices"
	"testing"

	"filippo.io/age"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/xds-server/internal/sample"
	"github.com/rutter-gateway/rutter/xds-server/internal/simenvoy"
	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// refusing is the rule of an Envoy that takes no resource with these names.
func refusing(names ...string) func(string, string, []byte) bool {
	return func(_, name string, _ []byte) bool { return slices.Contains(names, name) }
}

// without is a world less some names.
func without(world []routing.Resource, names ...string) []routing.Resource {
	return slices.DeleteFunc(slices.Clone(world), func(r routing.Resource) bool { return slices.Contains(names, r.Name) })
}

func refusedNames(r routing.EnvoyReceipt) []string {
	var out []string
	for _, refusal := range r.Refused {
		out = append(out, refusal.Name)
	}
	return out
}

func TestANackedResourceIsIdentifiedAndTheOthersMoveOn(t *testing.T) {
	r, h := newReplica(t), sample.NewHistory("i")
	r.take(t, h.Publish(sample.World{gateway: web(1)}))
	r.store.ReplaceEndpoints(nil)
	e := connect(t, "a", r)
	await(t, e, runs(web(1)))
	e.Refuse(refusing("l0/h17", "c20", "l0/h33"))
	r.take(t, h.Publish(sample.World{gateway: web(40)}))
	await(t, e, runs(without(web(40), "l0/h17", "c20", "l0/h33")))
	r.ledger.await(t, "a", func(got routing.EnvoyReceipt) bool {
		return got.Held.Sequence == 2 && slices.Equal(refusedNames(got), []string{"c20", "l0/h17", "l0/h33"})
	})
	got, _ := r.ledger.of("a")
	refusal := got.Refused[1]
	if want := web(40)[2+2*17]; refusal.Digest != want.Digest || refusal.Origin != want.Origin || refusal.Reason == "" || refusal.Time.IsZero() {
		t.Errorf("reported as %+v", refusal)
	}

	t.Run("and both answers are counted, by type", func(t *testing.T) {
		const answers = "rutter_xds_answers_total"
		for kind, refused := range map[string]bool{"Cluster": true, "ScopedRouteConfiguration": true, "Listener": false, "ClusterLoadAssignment": false} {
			ack, nack := gwtest.Metric(t, r.registry, answers, "type="+kind, "result=ack"), gwtest.Metric(t, r.registry, answers, "type="+kind, "result=nack")
			if ack == 0 || (nack > 0) != refused {
				t.Errorf("%s: %v acknowledged, %v refused", kind, ack, nack)
			}
			if sent := gwtest.Metric(t, r.registry, "rutter_xds_responses_total", "type="+kind); sent < ack+nack {
				t.Errorf("%s: %v were sent", kind, sent)
			}
		}
		if n := gwtest.Metric(t, r.registry, "rutter_xds_connected_envoys", "gateway="+gateway); n != 1 {
			t.Errorf("%v Envoys are connected", n)
		}
	})
	t.Run("and is not sent again until it changes", func(t *testing.T) {
		before := len(e.View().Log)
		r.take(t, h.Publish(sample.World{gateway: web(41)}))
		await(t, e, runs(without(web(41), "l0/h17", "c20", "l0/h33")))
		for _, response := range e.View().Log[before:] {
			if response.Refused {
				t.Errorf("sent again: %+v", response)
			}
		}
		e.Refuse(refusing())
		healed := append(web(17), host(17, 2)...)
		r.take(t, h.Publish(sample.World{gateway: healed}))
		await(t, e, runs(healed))
		r.ledger.await(t, "a", func(got routing.EnvoyReceipt) bool { return got.Held.Sequence == 4 && len(got.Refused) == 0 })
	})
}

func TestBisectingTakesALogarithmOfResponses(t *testing.T) {
	r, h := newReplica(t), sample.NewHistory("i")
	r.take(t, h.Publish(sample.World{gateway: web(1024)}))
	r.store.ReplaceEndpoints(nil)
	e := simenvoy.New("a", gateway)
	e.Refuse(refusing("l0/h500"))
	if err := e.Connect(t.Context(), r.conn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Disconnect)
	await(t, e, runs(without(web(1024), "l0/h500")))
	r.ledger.await(t, "a", func(got routing.EnvoyReceipt) bool { return len(got.Refused) == 1 && got.Held.Sequence == 1 })
	scopes := 0
	for _, response := range e.View().Log {
		if response.Type == store.ScopeType {
			scopes++
		}
	}
	if scopes > 1+2*10 {
		t.Errorf("%d responses to find one among 1,024", scopes)
	}
}

func TestOneEnvoysNackDoesNotHoldBackAnother(t *testing.T) {
	r, h := newReplica(t), sample.NewHistory("i")
	r.take(t, h.Publish(sample.World{gateway: web(5)}))
	r.store.ReplaceEndpoints(nil)
	bad, good := connect(t, "bad", r), connect(t, "good", r)
	await(t, bad, runs(web(5)))
	await(t, good, runs(web(5)))
	bad.Refuse(func(string, string, []byte) bool { return true })
	r.take(t, h.Publish(sample.World{gateway: web(9)}))
	await(t, good, runs(web(9)))
	r.ledger.await(t, "good", func(got routing.EnvoyReceipt) bool { return got.Held.Sequence == 2 && len(got.Refused) == 0 })
	for _, response := range good.View().Log {
		if response.Refused {
			t.Errorf("%+v", response)
		}
	}
}

func TestASecretsKeyIsUnsealedOnlyOnTheWire(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("-----BEGIN PRIVATE KEY-----")
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(key); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	secret := sample.Secret("cert", []byte("chain"), sealed.Bytes())
	world := append(web(1), sample.Listener("https", 8443, "", "cert"), secret)

	r := newReplica(t, func(c *Config) { c.Keys = store.Keys{Identity: identity} })
	r.take(t, sample.NewHistory("i").Publish(sample.World{gateway: world}))
	r.store.ReplaceEndpoints(nil)
	e := connect(t, "a", r)
	await(t, e, func(v simenvoy.View) bool { return v.Have[store.SecretType]["cert"].Version != "" })
	var got tlsv3.Secret
	if err := proto.Unmarshal(e.View().Have[store.SecretType]["cert"].Body, &got); err != nil {
		t.Fatal(err)
	}
	if certificate := got.GetTlsCertificate(); !bytes.Equal(certificate.GetPrivateKey().GetInlineBytes(), key) ||
		!bytes.Equal(certificate.GetCertificateChain().GetInlineBytes(), []byte("chain")) {
		t.Errorf("sent %v", certificate)
	}
	r.store.Read(gateway, func(now *store.Reading) {
		if held := now.Get(store.SecretType, "cert"); bytes.Contains(held.Body, key) || bytes.Contains(held.Sealed, key) {
			t.Error("the store holds a key in clear")
		}
	})

	t.Run("and without an identity the version is not held", func(t *testing.T) {
		r := newReplica(t)
		r.take(t, sample.NewHistory("i").Publish(sample.World{gateway: world}))
		r.store.ReplaceEndpoints(nil)
		e := connect(t, "a", r)
		await(t, e, func(v simenvoy.View) bool {
			return slices.ContainsFunc(v.Log, func(r simenvoy.Response) bool { return r.Type == store.SecretType }) &&
				runs(without(world, "cert"))(v)
		})
		for _, response := range e.View().Log {
			if response.Type == store.SecretType && len(response.Sent)+len(response.Removed) > 0 {
				t.Errorf("sent %+v", response)
			}
		}
		if got, _ := r.ledger.of("a"); got.Held.Sequence != 0 {
			t.Error("a version whose secret was not served is reported as held")
		}
	})
}
