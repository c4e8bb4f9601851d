package provisioner

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
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

// trust tells the API server which CA signs the certificate of the webhook. Where there
// is no configuration there is nobody to tell.
func (s *Service) trust(ctx context.Context) error {
	authority, err := s.Authority()
	if err != nil {
		return err
	}
	client := s.Client.Resource(webhookConfigurations)
	there, err := client.Get(ctx, s.Webhook.Configuration, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	patch, err := trustPatch(there, authority.PEM)
	if err != nil || patch == nil {
		return err
	}
	if _, err := client.Patch(ctx, s.Webhook.Configuration, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: FieldManager}); err != nil {
		return fmt.Errorf("say which CA signs: %w", err)
	}
	s.Logger.Info("the API server is told which CA signs", "resource", webhookConfigurations.Resource, "name", s.Webhook.Configuration)
	return nil
}

// trustPatch makes each webhook of a configuration trust a CA (PEM); nil where each does.
func trustPatch(configuration *unstructured.Unstructured, authority []byte) ([]byte, error) {
	webhooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		return nil, err
	}
	var patch []map[string]any
	for i, w := range webhooks {
		webhook, _ := w.(map[string]any)
		text, _, _ := unstructured.NestedString(webhook, "clientConfig", "caBundle")
		if trusted, err := base64.StdEncoding.DecodeString(text); err == nil && bytes.Equal(trusted, authority) {
			continue
		}
		at := fmt.Sprintf("/webhooks/%d", i)
		patch = append(patch,
			map[string]any{"op": "test", "path": at + "/name", "value": webhook["name"]},
			map[string]any{"op": "add", "path": at + "/clientConfig/caBundle", "value": base64.StdEncoding.EncodeToString(authority)},
		)
	}
	if patch == nil {
		return nil, nil
	}
	return json.Marshal(patch)
}
