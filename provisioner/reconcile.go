package provisioner

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/pki"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/provisioner/infra"
)

// FieldManager is who sets fields, for server-side apply.
const FieldManager = "rutter-provisioner"

// errForeign: an object of the name is there, and is not the Gateway's.
var errForeign = errors.New("it exists and does not belong to this Gateway; give it or the Gateway another name")

// secrets are apart: what is in them is not watched.
var secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

// built are the resources of what [infra.Objects] makes, by kind.
func built() map[string]schema.GroupVersionResource {
	return map[string]schema.GroupVersionResource{
		"ServiceAccount":      {Version: "v1", Resource: "serviceaccounts"},
		"ConfigMap":           {Version: "v1", Resource: "configmaps"},
		"Service":             {Version: "v1", Resource: "services"},
		"PodDisruptionBudget": {Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
		"Deployment":          {Group: "apps", Version: "v1", Resource: "deployments"},
	}
}

// reconcile makes what is built for a Gateway what in says; nil is nothing. again is
// after which time something has to be done in any case.
func (s *Service) reconcile(ctx context.Context, gateway types.NamespacedName, in *routing.Infrastructure) (again time.Duration, err error) {
	if in == nil {
		return 0, s.remove(ctx, gateway, "")
	}
	objects, err := infra.Objects(gateway, in, &s.Infra)
	if err != nil {
		return 0, err
	}
	again, err = s.keepClientCertificate(ctx, gateway, in)
	if err != nil {
		return 0, err
	}
	for _, o := range objects {
		kind := o.GetObjectKind().GroupVersionKind().Kind
		apply := s.apply
		if kind == "Service" && len(in.ClusterAddresses) > 0 {
			apply = s.addressed(in.ClusterAddresses)
		}
		if err := apply(ctx, built()[kind], o, types.UID(in.UID)); err != nil {
			return 0, fmt.Errorf("apply %s %s: %w", kind, o.GetName(), err)
		}
	}
	// What was built under another class has another name.
	return again, s.remove(ctx, gateway, in.Name)
}

// apply makes an object as it is to be, unless it is another owner's.
func (s *Service) apply(ctx context.Context, resource schema.GroupVersionResource, o infra.Object, owner types.UID) error {
	client := s.Client.Resource(resource).Namespace(o.GetNamespace())
	if owner != "" {
		there, err := client.Get(ctx, o.GetName(), metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if err == nil && !owns(owner, there) {
			s.metrics.foreign.Inc()
			return errForeign
		}
	}
	data, err := infra.Encode(o)
	if err != nil {
		return err
	}
	force := true
	_, err = client.Patch(ctx, o.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: FieldManager, Force: &force})
	return err
}

func owns(owner types.UID, o metav1.Object) bool {
	for _, reference := range o.GetOwnerReferences() {
		if reference.UID == owner {
			return true
		}
	}
	return false
}

// remove takes away what was built for a Gateway, but for what is called keep.
func (s *Service) remove(ctx context.Context, gateway types.NamespacedName, keep string) error {
	for kind, resource := range built() {
		list, err := s.knownOf(kind, gateway)
		if err != nil {
			return fmt.Errorf("list what is built: %w", err)
		}
		for _, o := range list {
			if o.GetName() == keep {
				continue
			}
			uid := o.GetUID()
			err := s.Client.Resource(resource).Namespace(gateway.Namespace).Delete(ctx, o.GetName(), metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: background(),
			})
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return fmt.Errorf("delete %s %s: %w", kind, o.GetName(), err)
			}
			removed := events.Key{Resource: resource.Resource, Namespace: o.GetNamespace(), Name: o.GetName()}
			s.Logger.Info("removed what a Gateway no longer needs", process.About(removed, o.GetGeneration(), 0))
			if kind == "Deployment" {
				if err := s.removeSecret(ctx, o.GetNamespace(), o.GetName()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// removeSecret deletes the certificate that goes with a Deployment.
func (s *Service) removeSecret(ctx context.Context, namespace, deployment string) error {
	name := infra.SecretName(&routing.Infrastructure{Name: deployment})
	err := s.Client.Resource(secrets).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete Secret %s: %w", name, err)
	}
	return nil
}

func background() *metav1.DeletionPropagation {
	policy := metav1.DeletePropagationBackground
	return &policy
}

// ownerOf is the Gateway for which an object was built; zero for none.
func ownerOf(o metav1.Object) types.NamespacedName {
	if o.GetLabels()[infra.ManagedByLabel] != infra.ManagedBy {
		return types.NamespacedName{}
	}
	for _, reference := range o.GetOwnerReferences() {
		if reference.Kind == "Gateway" {
			return types.NamespacedName{Namespace: o.GetNamespace(), Name: reference.Name}
		}
	}
	return types.NamespacedName{}
}

// keepClientCertificate sees that the Envoys of a Gateway have a certificate.
func (s *Service) keepClientCertificate(ctx context.Context, gateway types.NamespacedName, in *routing.Infrastructure) (again time.Duration, err error) {
	name := infra.SecretName(in)
	secret := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: infra.Meta(gateway, in, name), Type: corev1.SecretTypeTLS,
	}
	again, err = s.keepCertificate(ctx, secret, types.UID(in.UID), pki.Request{URI: pki.GatewayURI(gateway.String())})
	if err != nil {
		return 0, fmt.Errorf("certificate in Secret %s: %w", name, err)
	}
	return again, nil
}
