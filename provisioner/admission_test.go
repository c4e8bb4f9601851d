package provisioner_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/internal/pki"
)

const webhookConfiguration = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: rutter-system-rutter-actors}
webhooks:
- name: actors.rutter.dev
  clientConfig: {service: {namespace: default, name: rutter-actors, path: /observe}}
  rules: [{apiGroups: [gateway.networking.k8s.io], apiVersions: [v1], operations: ["*"], resources: [httproutes]}]
  sideEffects: None
  admissionReviewVersions: [v1]
  failurePolicy: Ignore
`

func TestTheAPIServerTrustsTheWebhookOfIngest(t *testing.T) {
	r := newRig(t)
	r.publish(fleet{"default/gw": r.gateway("gw")})
	const resource, name = "validatingwebhookconfigurations", "rutter-system-rutter-actors"
	stop := r.start()
	r.eventually("secrets", "rutter-actors-tls", func(o *unstructured.Unstructured) error {
		c, err := certificate(o)
		if err != nil {
			return err
		}
		return c.Leaf.VerifyHostname("rutter-actors.default.svc")
	}) // there is no configuration, and that is no trouble
	stop()

	_, err := r.resource(resource).Create(t.Context(), &unstructured.Unstructured{Object: gwtest.Objects(t, webhookConfiguration)[0]}, metav1.CreateOptions{})
	must(t, err)
	paths := map[string]bool{}
	trusts := func(o *unstructured.Unstructured) error {
		webhooks, _, _ := unstructured.NestedSlice(o.Object, "webhooks")
		text, _, _ := unstructured.NestedString(webhooks[0].(map[string]any), "clientConfig", "caBundle")
		if got, err := base64.StdEncoding.DecodeString(text); err != nil || !bytes.Equal(got, r.ca.Certificate) {
			return fmt.Errorf("it trusts %q: %w", got, errors.Join(err, errors.New("another CA")))
		}
		path, _, _ := unstructured.NestedString(webhooks[0].(map[string]any), "clientConfig", "service", "path")
		secret, err := r.get("secrets", "rutter-actors-tls")
		if err != nil {
			return err
		}
		text, _, _ = unstructured.NestedString(secret.Object, "data", "path")
		if kept, err := base64.StdEncoding.DecodeString(text); err != nil || string(kept) != path || !strings.HasPrefix(path, "/observe/") || len(path) < 40 {
			return fmt.Errorf("it uses the path %q, the Secret has %q: %w", path, kept, errors.Join(err, errors.New("another path")))
		}
		paths[path] = true
		return nil
	}
	serve := func() {
		t.Helper()
		stop := r.start()
		r.eventually(resource, name, trusts)
		stop()
	}
	serve()
	t.Run("what is applied over it comes back", func(t *testing.T) {
		_, err := r.resource(resource).Patch(t.Context(), name, types.JSONPatchType, []byte(`[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`), metav1.PatchOptions{})
		must(t, err)
		serve()
	})
	t.Run("a new CA signs a new certificate", func(t *testing.T) {
		before, err := r.get("secrets", "rutter-actors-tls")
		must(t, err)
		r.ca, err = pki.NewAuthority(*r.now.Load())
		must(t, err)
		serve()
		if after, err := r.get("secrets", "rutter-actors-tls"); err != nil || after.GetResourceVersion() == before.GetResourceVersion() {
			t.Errorf("the certificate is the old one: %v", err)
		}
		if len(paths) != 2 {
			t.Errorf("the paths were %v, want one of each CA", paths)
		}
	})
	t.Run("the role of the chart is what was asked for", func(t *testing.T) {
		stop := r.start()
		r.eventually("deployments", "gw-rutter", exists)
		r.class("rutter", "rutter.dev/gateway-controller")
		r.kept("rutter", true)
		r.publish(fleet{"default/gw": nil})
		r.kept("rutter", false)
		for resource, suffix := range built() {
			r.gone(resource, "gw-rutter"+suffix)
		}
		stop()
		r.rights.AreThoseOf(t, "provisioner")
	})
}
