package kubelet

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// claim makes the directory of a PersistentVolumeClaim, and says that it is bound: to
// a directory of this machine, without a PersistentVolume. It lives as long as the
// cluster does.
func (v *volumes) claim(ctx context.Context, volume *corev1.Volume) error {
	name := volume.PersistentVolumeClaim.ClaimName
	claims := v.kubelet.cfg.Client.CoreV1().PersistentVolumeClaims(v.pod.Namespace)
	claim, err := claims.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get PersistentVolumeClaim %s: %w", name, err)
	}
	path := v.path(volume)
	if _, err := os.Stat(path); err != nil {
		if err := v.own(path, 0o777); err != nil {
			return err
		}
	}
	if claim.Status.Phase == corev1.ClaimBound {
		return nil
	}
	claim.Status.Phase, claim.Status.AccessModes, claim.Status.Capacity = corev1.ClaimBound, claim.Spec.AccessModes, claim.Spec.Resources.Requests
	if _, err := claims.UpdateStatus(ctx, claim, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("bind PersistentVolumeClaim %s: %w", name, err)
	}
	return nil
}
