package provisioner

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/rutter-gateway/rutter/provisioner/infra"
)

// addressed applies a Service that has one of these addresses of the cluster. Which can
// be had only the API server knows: what it refuses (one that is taken, or is of no
// ServiceCIDR, or another than the Service has already) is not asked for. A Gateway has
// its Service all the same, and the projector tells what is missing from what the
// Service came to have.
func (s *Service) addressed(addresses []string) func(context.Context, schema.GroupVersionResource, infra.Object, types.UID) error {
	return func(ctx context.Context, resource schema.GroupVersionResource, o infra.Object, owner types.UID) error {
		for _, address := range addresses {
			service := o.DeepCopyObject().(*corev1.Service)
			service.Spec.ClusterIP = address
			if err := s.apply(ctx, resource, service, owner); !apierrors.IsInvalid(err) {
				return err
			}
		}
		return s.apply(ctx, resource, o, owner)
	}
}
