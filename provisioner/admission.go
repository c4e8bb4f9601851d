package provisioner

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/pki"
	"github.com/rutter-gateway/rutter/internal/process"
)

// Webhook is the admission webhook by which ingest sees who asks for changes. The zero
// Webhook is none.
type Webhook struct {
	// Configuration is the name of its ValidatingWebhookConfiguration, Host the name by
	// which the API server reaches it, Secret where it finds its certificate.
	Configuration, Host, Secret string
}

// trustEvery is how often a ValidatingWebhookConfiguration is looked at: whoever applies it
// again may take away what was written into it.
const trustEvery = time.Minute

var webhookConfigurations = schema.GroupVersionResource{
	Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations",
}

// The webhook takes reviews at a path that nobody knows but who may read its Secret, or
// its configuration: so nobody else can say who asks for changes.
const (
	pathKey    = "path"
	pathPrefix = "/observe/"
	// pathPurpose derives the rest.
	pathPurpose = "path of the admission webhook"
)

// keepWebhook sees that the webhook has a certificate and a path, and that the API server
// knows both.
func (s *Service) keepWebhook(ctx context.Context, secret *corev1.Secret) (again time.Duration, err error) {
	authority, err := s.Authority()
	if err != nil {
		return 0, err
	}
	token, err := authority.Derive(pathPurpose)
	if err != nil {
		return 0, err
	}
	path := pathPrefix + token
	secret.Data = map[string][]byte{pathKey: []byte(path)}
	again, err = s.keepCertificate(ctx, secret, "", pki.Request{Server: true, Hosts: []string{s.Webhook.Host}})
	if err != nil {
		return 0, err
	}
	return again, s.tell(ctx, authority.PEM, path)
}

// tell tells the API server the path of the webhook, and which CA signs its certificate.
// Where there is no configuration there is nobody to tell.
func (s *Service) tell(ctx context.Context, authority []byte, path string) error {
	client := s.Client.Resource(webhookConfigurations)
	there, err := client.Get(ctx, s.Webhook.Configuration, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	patch, err := webhookPatch(there, base64.StdEncoding.EncodeToString(authority), path)
	if err != nil || patch == nil {
		return err
	}
	if _, err := client.Patch(ctx, s.Webhook.Configuration, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: FieldManager}); err != nil {
		return fmt.Errorf("tell the API server about the webhook: %w", err)
	}
	about := process.About(events.Key{Resource: webhookConfigurations.Resource, Name: s.Webhook.Configuration}, there.GetGeneration(), 0)
	s.Logger.Info("the API server is told about the webhook", about)
	return nil
}

// webhookPatch makes each webhook of a configuration trust a CA and use a path; nil where
// each does.
func webhookPatch(configuration *unstructured.Unstructured, bundle, path string) ([]byte, error) {
	webhooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		return nil, err
	}
	var patch []map[string]any
	for i, w := range webhooks {
		webhook, _ := w.(map[string]any)
		trusted, _, _ := unstructured.NestedString(webhook, "clientConfig", "caBundle")
		used, _, _ := unstructured.NestedString(webhook, "clientConfig", "service", "path")
		if trusted == bundle && used == path {
			continue
		}
		at := fmt.Sprintf("/webhooks/%d", i)
		patch = append(patch,
			map[string]any{"op": "test", "path": at + "/name", "value": webhook["name"]},
			map[string]any{"op": "add", "path": at + "/clientConfig/caBundle", "value": bundle},
			map[string]any{"op": "add", "path": at + "/clientConfig/service/path", "value": path},
		)
	}
	if patch == nil {
		return nil, nil
	}
	return json.Marshal(patch)
}
