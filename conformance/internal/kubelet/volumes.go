package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/rutter-gateway/rutter/conformance/internal/sandbox"
)

// volumes are the directories that the containers of a pod mount.
type volumes struct {
	environment
	dir    string // of this pod; removed with it
	claims string // of the cluster; PersistentVolumeClaims outlive pods
	tokens map[string]token
}

// kept is a volume whose content comes from the API and follows it.
func kept(volume *corev1.Volume) bool {
	source := &volume.VolumeSource
	return source.ConfigMap != nil || source.Secret != nil || source.Projected != nil || source.DownwardAPI != nil
}

// prepare makes all volumes of the pod, or says which one cannot be made yet.
func (v *volumes) prepare(ctx context.Context) error {
	for i := range v.pod.Spec.Volumes {
		volume := &v.pod.Spec.Volumes[i]
		if err := v.make(ctx, volume); err != nil {
			return fmt.Errorf("volume %s: %w", volume.Name, err)
		}
	}
	return nil
}

// refresh brings the volumes up to date whose content comes from the API.
func (v *volumes) refresh(ctx context.Context) error {
	var errs []error
	for i := range v.pod.Spec.Volumes {
		if volume := &v.pod.Spec.Volumes[i]; kept(volume) {
			if err := v.make(ctx, volume); err != nil {
				errs = append(errs, fmt.Errorf("volume %s: %w", volume.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (v *volumes) make(ctx context.Context, volume *corev1.Volume) error {
	if kept(volume) {
		files, err := v.files(ctx, &volume.VolumeSource)
		if err != nil {
			return err
		}
		if err := v.own(v.path(volume), 0o755); err != nil {
			return err
		}
		return writeAtomically(v.path(volume), files, v.group(), time.Now())
	}
	switch source := &volume.VolumeSource; {
	case source.EmptyDir != nil:
		return v.own(v.path(volume), 0o777)
	case source.PersistentVolumeClaim != nil:
		return v.claim(ctx, volume)
	default:
		return errors.New("this kind of volume is not supported")
	}
}

// path is where a volume is on this machine.
func (v *volumes) path(volume *corev1.Volume) string {
	if claim := volume.PersistentVolumeClaim; claim != nil {
		return filepath.Join(v.claims, v.pod.Namespace, claim.ClaimName)
	}
	return filepath.Join(v.dir, volume.Name)
}

// own makes a directory that belongs to the group of the pod.
func (v *volumes) own(path string, mode fs.FileMode) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	group := v.group()
	if group >= 0 {
		if err := os.Chown(path, -1, group); err != nil {
			return err
		}
		mode |= fs.ModeSetgid
	}
	return os.Chmod(path, mode)
}

// group is the group to which volumes belong, or -1.
func (v *volumes) group() int {
	if security := v.pod.Spec.SecurityContext; security != nil && security.FSGroup != nil {
		return int(*security.FSGroup)
	}
	return -1
}

// mounts are the volumes of the pod that a container mounts. Paths may be expanded
// from its variables.
func (v *volumes) mounts(container *corev1.Container, variables map[string]string) ([]sandbox.Mount, error) {
	var mounts []sandbox.Mount
	for i := range container.VolumeMounts {
		mount := &container.VolumeMounts[i]
		volume := v.volume(mount.Name)
		if volume == nil {
			return nil, fmt.Errorf("there is no volume %s", mount.Name)
		}
		source := v.path(volume)
		below := mount.SubPath
		if mount.SubPathExpr != "" {
			below = expand(mount.SubPathExpr, variables)
		}
		if below != "" {
			var err error
			if source, err = v.subPath(volume, source, below); err != nil {
				return nil, fmt.Errorf("volume %s: %w", mount.Name, err)
			}
		}
		mounts = append(mounts, sandbox.Mount{Source: source, Target: mount.MountPath, ReadOnly: mount.ReadOnly || kept(volume)})
	}
	return mounts, nil
}

// subPath is a file or directory of a volume; one that is missing becomes a directory
// where the pod may write.
func (v *volumes) subPath(volume *corev1.Volume, source, below string) (string, error) {
	if !filepath.IsLocal(below) {
		return "", fmt.Errorf("subPath %s leaves the volume", below)
	}
	path := filepath.Join(source, below)
	if kept(volume) {
		// Files are links, which change with an update; a subPath does not, as with
		// any kubelet.
		return filepath.EvalSymlinks(path)
	}
	return path, v.own(path, 0o777)
}

func (v *volumes) volume(name string) *corev1.Volume {
	for i := range v.pod.Spec.Volumes {
		if v.pod.Spec.Volumes[i].Name == name {
			return &v.pod.Spec.Volumes[i]
		}
	}
	return nil
}

// source names a ConfigMap or Secret.
type source struct{ kind, namespace, name string }

func sourceOf(object any) source {
	switch object := object.(type) {
	case *corev1.ConfigMap:
		return source{"ConfigMap", object.Namespace, object.Name}
	case *corev1.Secret:
		return source{"Secret", object.Namespace, object.Name}
	default:
		return source{}
	}
}

// sources are all ConfigMaps and Secrets that a pod needs in order to run.
func sources(pod *corev1.Pod) map[source]struct{} {
	result := make(map[source]struct{})
	configMap := func(name string) { result[source{"ConfigMap", pod.Namespace, name}] = struct{}{} }
	secret := func(name string) { result[source{"Secret", pod.Namespace, name}] = struct{}{} }
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		if volume.ConfigMap != nil {
			configMap(volume.ConfigMap.Name)
		}
		if volume.Secret != nil {
			secret(volume.Secret.SecretName)
		}
		if volume.Projected == nil {
			continue
		}
		for _, projection := range volume.Projected.Sources {
			if projection.ConfigMap != nil {
				configMap(projection.ConfigMap.Name)
			}
			if projection.Secret != nil {
				secret(projection.Secret.Name)
			}
		}
	}
	for _, container := range append(append([]corev1.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...) {
		for _, from := range container.EnvFrom {
			if from.ConfigMapRef != nil {
				configMap(from.ConfigMapRef.Name)
			}
			if from.SecretRef != nil {
				secret(from.SecretRef.Name)
			}
		}
		for _, variable := range container.Env {
			if variable.ValueFrom != nil && variable.ValueFrom.ConfigMapKeyRef != nil {
				configMap(variable.ValueFrom.ConfigMapKeyRef.Name)
			}
			if variable.ValueFrom != nil && variable.ValueFrom.SecretKeyRef != nil {
				secret(variable.ValueFrom.SecretKeyRef.Name)
			}
		}
	}
	return result
}

// hostnameOf is the name that a pod has for itself.
func hostnameOf(pod *corev1.Pod) string {
	if pod.Spec.Hostname != "" {
		return pod.Spec.Hostname
	}
	return strings.TrimRight(pod.Name[:min(len(pod.Name), 63)], "-.")
}
