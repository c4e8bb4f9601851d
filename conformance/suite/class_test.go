package suite

import (
	"fmt"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/conformance/internal/patience"
)

// testClassInUse is what the documentation of GatewayClass says of the finalizer: a class
// is not gone before its Gateways, which are served until then.
func testClassInUse(t *testing.T, objects client.Client) {
	var installed gatewayv1.GatewayClass
	if err := objects.Get(t.Context(), client.ObjectKey{Name: "rutter"}, &installed); err != nil {
		t.Fatal(err)
	}
	class := &gatewayv1.GatewayClass{ObjectMeta: metav1.ObjectMeta{Name: "own-in-use"}, Spec: gatewayv1.GatewayClassSpec{ControllerName: installed.Spec.ControllerName}}
	if err := objects.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	gw := &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "own-in-use"},
		Spec: gatewayv1.GatewaySpec{
			GatewayClassName: gatewayv1.ObjectName(class.Name),
			Listeners:        []gatewayv1.Listener{{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType}},
		},
	}
	if err := objects.Create(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Delete(t.Context(), gw) })
	patience.Await(t, "the finalizer of a class in use", func() error {
		err := objects.Get(t.Context(), client.ObjectKeyFromObject(class), class)
		if err == nil && !slices.Contains(class.Finalizers, gatewayv1.GatewayClassFinalizerGatewaysExist) {
			err = fmt.Errorf("it has the finalizers %v", class.Finalizers)
		}
		return err
	})
	if err := objects.Delete(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	programmed := func(generation int64) func() error {
		return func() error {
			err := objects.Get(t.Context(), client.ObjectKeyFromObject(gw), gw)
			c := meta.FindStatusCondition(gw.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed))
			if err == nil && (c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration < generation) {
				err = fmt.Errorf("it is not programmed: %v", gw.Status.Conditions)
			}
			return err
		}
	}
	patience.Await(t, "the Gateway", programmed(1))
	patience.Await(t, "the changed Gateway", func() error {
		var now gatewayv1.Gateway
		if err := objects.Get(t.Context(), client.ObjectKeyFromObject(gw), &now); err != nil {
			return err
		}
		if len(now.Spec.Listeners) == 2 {
			return programmed(now.Generation)()
		}
		now.Spec.Listeners = append(now.Spec.Listeners, gatewayv1.Listener{Name: "more", Port: 81, Protocol: gatewayv1.HTTPProtocolType})
		if err := objects.Update(t.Context(), &now); err != nil {
			return err
		}
		return fmt.Errorf("generation %d was just made", now.Generation)
	})
	if err := objects.Get(t.Context(), client.ObjectKeyFromObject(class), class); err != nil || class.DeletionTimestamp == nil {
		t.Errorf("the class in use is gone, or is not being deleted: %v", err)
	}
	if err := objects.Delete(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	patience.Await(t, "the class is gone", func() error {
		switch err := objects.Get(t.Context(), client.ObjectKeyFromObject(class), class); {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		return fmt.Errorf("it has the finalizers %v", class.Finalizers)
	})
}
