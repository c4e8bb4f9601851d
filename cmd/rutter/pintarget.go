package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
)

// pinTarget is where RoutingPins are written: a cluster, or a file.
type pinTarget struct{ kubeconfig, manifest string }

// pinManager is whom the API server names as the writer of RoutingPins.
const pinManager = "rutter"

// toStdout as a file is no file.
const toStdout = "-"

func (t *pinTarget) bind(flags *pflag.FlagSet) {
	flags.StringVar(&t.kubeconfig, "kubeconfig", "", "the cluster (default: as kubectl finds it)")
	flags.StringVar(&t.manifest, "manifest", "", "a file for the RoutingPin, - for standard output, in the place of the cluster")
}

func (t *pinTarget) client() (dynamic.NamespaceableResourceInterface, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = t.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API: %w: give --kubeconfig, or --manifest FILE where manifests are served", err)
	}
	config.UserAgent = "rutter/" + version
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API: %w", err)
	}
	return client.Resource(schema.GroupVersionResource{Group: v1alpha1.GroupName, Version: v1alpha1.Version, Resource: events.RoutingPins}), nil
}

// write puts a RoutingPin there.
func (t *pinTarget) write(ctx context.Context, env *environment, pin *v1alpha1.RoutingPin) error {
	object, err := manifestOf(pin)
	if err != nil {
		return err
	}
	if t.manifest == "" {
		return t.apply(ctx, env, object)
	}
	text, err := yaml.Marshal(object.Object)
	if err != nil {
		return fmt.Errorf("encode the RoutingPin: %w", err)
	}
	if t.manifest == toStdout {
		_, err = env.out.Write(text)
		return err
	}
	// Others than a RoutingPin are not written over.
	if _, err := readPinManifest(t.manifest); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := replaceFile(t.manifest, text); err != nil {
		return fmt.Errorf("write the RoutingPin: %w", err)
	}
	_, err = fmt.Fprintf(env.out, "\nThe RoutingPin %s/%s is in %s.\n", pin.Namespace, pin.Name, t.manifest)
	return err
}

// manifestOf is the object without what only the API server writes.
func manifestOf(pin *v1alpha1.RoutingPin) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(pin.Spec)
	spec := map[string]any{}
	if err == nil {
		err = json.Unmarshal(data, &spec)
	}
	if err != nil {
		return nil, fmt.Errorf("encode the RoutingPin: %w", err)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": pin.APIVersion, "kind": pin.Kind, "spec": spec,
		"metadata": map[string]any{"name": pin.Name, "namespace": pin.Namespace},
	}}, nil
}

func (t *pinTarget) apply(ctx context.Context, env *environment, object *unstructured.Unstructured) error {
	client, err := t.client()
	if err != nil {
		return err
	}
	_, err = client.Namespace(object.GetNamespace()).Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: pinManager, Force: true})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("the cluster does not know RoutingPins: install the definition of the chart (crds/rutter.dev_routingpins.yaml): %w", err)
	}
	if err != nil {
		return fmt.Errorf("apply the RoutingPin: %w", err)
	}
	_, err = fmt.Fprintf(env.out, "\nThe RoutingPin %s/%s is applied; its status says whether it is in force.\n", object.GetNamespace(), object.GetName())
	return err
}

// remove takes RoutingPins away.
func (t *pinTarget) remove(ctx context.Context, env *environment, pins []recordedPin) error {
	if t.manifest != "" {
		return t.removeManifest(env, pins)
	}
	client, err := t.client()
	if err != nil {
		return err
	}
	for _, p := range pins {
		err := client.Namespace(p.key.Namespace).Delete(ctx, p.key.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete the RoutingPin %s: %w", p, err)
		}
		if _, err := fmt.Fprintf(env.out, "\nThe RoutingPin %s is deleted.\n", p); err != nil {
			return err
		}
	}
	return nil
}

func (t *pinTarget) removeManifest(env *environment, pins []recordedPin) error {
	pin, err := readPinManifest(t.manifest)
	if err != nil {
		return err
	}
	if len(pins) != 1 || keyOfPin(pin) != pins[0].key {
		return fmt.Errorf("%s has the RoutingPin %s/%s, and the Gateway is pinned by %s", t.manifest, pin.Namespace, pin.Name, pins[0])
	}
	if err := os.Remove(t.manifest); err != nil {
		return fmt.Errorf("remove the RoutingPin: %w", err)
	}
	_, err = fmt.Fprintf(env.out, "\n%s is removed.\n", t.manifest)
	return err
}

// readPinManifest reads a file that has a RoutingPin and nothing else.
func readPinManifest(path string) (*v1alpha1.RoutingPin, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the RoutingPin: %w", err)
	}
	pin := &v1alpha1.RoutingPin{}
	if err := yaml.UnmarshalStrict(text, pin); err != nil || pin.Kind != v1alpha1.KindPin {
		return nil, fmt.Errorf("%s is something else than a RoutingPin, and is left as it is", path)
	}
	return pin, nil
}

// replaceFile replaces a file as a whole: who watches it never reads a half.
func replaceFile(path string, text []byte) error {
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
