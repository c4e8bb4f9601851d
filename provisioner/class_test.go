package provisioner_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events/routing"
)

const foreignFinalizer = "example.com/theirs"

func (r *rig) class(name, controller string, finalizers ...string) {
	r.t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": map[string]any{"name": name}, "spec": map[string]any{"controllerName": controller},
	}}
	o.SetFinalizers(finalizers)
	_, err := r.resource("gatewayclasses").Create(r.t.Context(), o, metav1.CreateOptions{})
	must(r.t, err)
}

// kept waits for a class to have the finalizer, or not, and all others that it had.
func (r *rig) kept(class string, want bool, others ...string) {
	r.t.Helper()
	r.eventually("gatewayclasses", class, func(o *unstructured.Unstructured) error {
		expected := others
		if want {
			expected = append(slices.Clone(others), gatewayv1.GatewayClassFinalizerGatewaysExist)
		}
		if got := o.GetFinalizers(); !slices.Equal(got, expected) {
			return fmt.Errorf("it has the finalizers %v, want %v", got, expected)
		}
		return nil
	})
}

func TestAClassStaysUntilItsLastGatewayIsGone(t *testing.T) {
	r := newRig(t)
	const ours = "rutter.dev/gateway-controller"
	r.class("rutter", ours, foreignFinalizer)
	r.class("unused", ours, gatewayv1.GatewayClassFinalizerGatewaysExist) // from a time when it was in use
	r.class("foreign", "example.com/other", gatewayv1.GatewayClassFinalizerGatewaysExist)
	one, two := r.gateway("one"), r.gateway("two")
	r.publish(fleet{"default/one": one, "default/two": two})
	stop := r.start()
	r.kept("rutter", true, foreignFinalizer)
	r.kept("unused", false)

	t.Run("who takes it away does not keep it away", func(t *testing.T) {
		r.patch("gatewayclasses", "rutter", `{"metadata":{"finalizers":["`+foreignFinalizer+`"]}}`)
		r.kept("rutter", true, foreignFinalizer)
	})
	t.Run("a Gateway that moves takes it along", func(t *testing.T) {
		moved := *two
		moved.Name, moved.Class = "two-unused", "unused"
		r.publish(fleet{"default/two": &moved})
		r.kept("unused", true)
		r.kept("rutter", true, foreignFinalizer)
		r.publish(fleet{"default/two": two})
		r.kept("unused", false)
	})
	t.Run("a class that is deleted waits", func(t *testing.T) {
		must(t, r.resource("gatewayclasses").Delete(t.Context(), "rutter", metav1.DeleteOptions{}))
		r.patch("gatewayclasses", "rutter", `{"metadata":{"finalizers":["`+gatewayv1.GatewayClassFinalizerGatewaysExist+`"]}}`)
		three := r.gateway("three")
		r.publish(fleet{"default/one": nil, "default/three": three})
		r.eventually("deployments", "three-rutter", exists) // it is still served
		r.gone("deployments", "one-rutter")
		r.kept("rutter", true)
		r.publish(fleet{"default/two": nil})
		r.gone("deployments", "two-rutter")
		r.kept("rutter", true)
		stop()
		r.publish(fleet{"default/three": nil})
		stop = r.start() // which finds out that it is in use no more
		r.gone("gatewayclasses", "rutter")
	})
	t.Run("one that is being deleted without it is left to go", func(t *testing.T) {
		r.class("late", ours, foreignFinalizer)
		must(t, r.resource("gatewayclasses").Delete(t.Context(), "late", metav1.DeleteOptions{}))
		late := r.gateway("late")
		late.Class, late.Name = "late", "late-late"
		r.publish(map[string]*routing.Infrastructure{"default/late": late})
		r.eventually("deployments", "late-late", exists)
		r.kept("late", false, foreignFinalizer)
	})
	r.eventually("gatewayclasses", "foreign", func(o *unstructured.Unstructured) error {
		if len(o.GetFinalizers()) != 1 {
			return errors.New("another controller's class has lost its finalizer")
		}
		return nil
	})
	stop()
}
