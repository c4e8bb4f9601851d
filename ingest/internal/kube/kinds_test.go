package kube

import (
	"os"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/rutter-gateway/rutter/events"
)

// What is recorded, and not only by controllers, somebody asks for.
func TestTheWebhookOfTheChartIsToldOfEveryKindThatIsRecorded(t *testing.T) {
	rendered, err := os.ReadFile("../../../deploy/helm/testdata/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var configuration admissionregistrationv1.ValidatingWebhookConfiguration
	for document := range strings.SplitSeq(string(rendered), "\n---\n") {
		if strings.Contains(document, "kind: ValidatingWebhookConfiguration\n") {
			if err := yaml.Unmarshal([]byte(document), &configuration); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(configuration.Webhooks) != 1 {
		t.Fatalf("%d webhooks", len(configuration.Webhooks))
	}
	told := func(k kind) bool {
		return slices.ContainsFunc(configuration.Webhooks[0].Rules, func(r admissionregistrationv1.RuleWithOperations) bool {
			return slices.Contains(r.APIGroups, k.Group) && (slices.Contains(r.Resources, k.resource) || slices.Contains(r.Resources, "*")) && len(r.Operations) == 3
		})
	}
	for _, k := range kinds() {
		if want := k.resource != events.EndpointSlices; told(k) != want {
			t.Errorf("%s: it is told %v, want %v", k.resource, !want, want)
		}
	}
}
