package provisioner

import (
	"context"
	"encoding/json"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// A GatewayClass has a finalizer while anything is built for a Gateway of it
// (GatewayClass, gateway-exists-finalizer): without its class a Gateway would be nobody's,
// and its traffic would end. Who deletes a class in use sees it wait until the last Gateway
// is gone.

var classes = schema.GroupVersionResource{Group: gatewayv1.GroupName, Version: "v1", Resource: "gatewayclasses"}

// classNamed is a GatewayClass in the queue. Gateways have namespaces.
func classNamed(name string) types.NamespacedName { return types.NamespacedName{Name: name} }

// keepClass sees that a GatewayClass of ours has the finalizer while it is in use, and
// not longer. The finalizer is one that others use for their classes, too.
func (s *Service) keepClass(ctx context.Context, name string) error {
	o, err := s.Client.Resource(classes).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	controller, _, _ := unstructured.NestedString(o.Object, "spec", "controllerName")
	inUse, finalizers := s.fleet.uses(name), o.GetFinalizers()
	has := slices.Contains(finalizers, gatewayv1.GatewayClassFinalizerGatewaysExist)
	switch {
	case controller != s.ControllerName, inUse == has:
		return nil
	case inUse && o.GetDeletionTimestamp() != nil:
		return nil // the API server takes no finalizer any more
	case inUse:
		finalizers = append(finalizers, gatewayv1.GatewayClassFinalizerGatewaysExist)
	default:
		finalizers = slices.DeleteFunc(finalizers, func(f string) bool { return f == gatewayv1.GatewayClassFinalizerGatewaysExist })
	}
	// A patch replaces the list, so that it must be the one that was read.
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": o.GetResourceVersion(), "finalizers": finalizers}})
	if err != nil {
		return err
	}
	_, err = s.Client.Resource(classes).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
