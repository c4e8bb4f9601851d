package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	defaultMode = 0o644
	// tokenLife is how long a token lives when the pod does not say.
	tokenLife = 3600
)

// file is a file of a volume.
type file struct {
	content string
	mode    fs.FileMode
}

// token is a token of a service account, and when it is to be replaced.
type token struct {
	value   string
	renewAt time.Time
}

// files is what a volume should contain, by path.
func (v *volumes) files(ctx context.Context, volume *corev1.VolumeSource) (map[string]file, error) {
	result := make(map[string]file)
	var err error
	switch {
	case volume.ConfigMap != nil:
		s := volume.ConfigMap
		values, missing := v.kubelet.configMap(v.pod.Namespace, s.Name, s.Optional)
		err = errors.Join(missing, add(result, values, s.Items, s.DefaultMode, isTrue(s.Optional)))
	case volume.Secret != nil:
		s := volume.Secret
		values, missing := v.kubelet.secret(v.pod.Namespace, s.SecretName, s.Optional)
		err = errors.Join(missing, add(result, values, s.Items, s.DefaultMode, isTrue(s.Optional)))
	case volume.DownwardAPI != nil:
		err = v.addDownward(result, volume.DownwardAPI.Items, volume.DownwardAPI.DefaultMode)
	case volume.Projected != nil:
		for i := range volume.Projected.Sources {
			if err = v.addProjection(ctx, result, &volume.Projected.Sources[i], volume.Projected.DefaultMode); err != nil {
				break
			}
		}
	}
	return result, err
}

func (v *volumes) addProjection(ctx context.Context, to map[string]file, s *corev1.VolumeProjection, mode *int32) error {
	switch {
	case s.ConfigMap != nil:
		values, err := v.kubelet.configMap(v.pod.Namespace, s.ConfigMap.Name, s.ConfigMap.Optional)
		return errors.Join(err, add(to, values, s.ConfigMap.Items, mode, isTrue(s.ConfigMap.Optional)))
	case s.Secret != nil:
		values, err := v.kubelet.secret(v.pod.Namespace, s.Secret.Name, s.Secret.Optional)
		return errors.Join(err, add(to, values, s.Secret.Items, mode, isTrue(s.Secret.Optional)))
	case s.DownwardAPI != nil:
		return v.addDownward(to, s.DownwardAPI.Items, mode)
	case s.ServiceAccountToken != nil:
		value, err := v.token(ctx, s.ServiceAccountToken)
		if err != nil {
			return fmt.Errorf("token of service account %s: %w", v.pod.Spec.ServiceAccountName, err)
		}
		to[s.ServiceAccountToken.Path] = file{content: value, mode: modeOf(nil, mode)}
		return nil
	default:
		return errors.New("this kind of projection is not supported")
	}
}

func (v *volumes) addDownward(to map[string]file, items []corev1.DownwardAPIVolumeFile, mode *int32) error {
	for i := range items {
		item := &items[i]
		var content string
		var err error
		switch {
		case item.FieldRef != nil:
			content, err = v.field(item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			container := v.container(item.ResourceFieldRef.ContainerName)
			if container == nil {
				return fmt.Errorf("there is no container %s", item.ResourceFieldRef.ContainerName)
			}
			content, err = resourceField(container, item.ResourceFieldRef)
		}
		if err != nil {
			return err
		}
		to[item.Path] = file{content: content, mode: modeOf(item.Mode, mode)}
	}
	return nil
}

func (v *volumes) container(name string) *corev1.Container {
	for i := range v.pod.Spec.Containers {
		if v.pod.Spec.Containers[i].Name == name {
			return &v.pod.Spec.Containers[i]
		}
	}
	return nil
}

// add adds the values that items name, or all of them.
func add(to map[string]file, values map[string]string, items []corev1.KeyToPath, mode *int32, optional bool) error {
	if len(items) == 0 {
		for key, value := range values {
			to[key] = file{content: value, mode: modeOf(nil, mode)}
		}
		return nil
	}
	for i := range items {
		item := &items[i]
		value, found := values[item.Key]
		if !found && optional {
			continue
		}
		if !found {
			return fmt.Errorf("there is no key %s", item.Key)
		}
		to[item.Path] = file{content: value, mode: modeOf(item.Mode, mode)}
	}
	return nil
}

// modeOf is the mode of a file: its own, or that of the volume, or the usual one.
func modeOf(own, volume *int32) fs.FileMode {
	switch {
	case own != nil:
		return fs.FileMode(*own)
	case volume != nil:
		return fs.FileMode(*volume)
	default:
		return defaultMode
	}
}

// token returns the token of the pod's service account for an audience. It is asked
// for anew when it has lived four fifths of its life.
func (v *volumes) token(ctx context.Context, projection *corev1.ServiceAccountTokenProjection) (string, error) {
	now := time.Now()
	if existing, found := v.tokens[projection.Audience]; found && now.Before(existing.renewAt) {
		return existing.value, nil
	}
	life := int64(tokenLife)
	if projection.ExpirationSeconds != nil {
		life = *projection.ExpirationSeconds
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &life,
		BoundObjectRef: &authenticationv1.BoundObjectReference{
			Kind: "Pod", APIVersion: "v1", Name: v.pod.Name, UID: v.pod.UID,
		},
	}}
	if projection.Audience != "" {
		request.Spec.Audiences = []string{projection.Audience}
	}
	accounts := v.kubelet.cfg.Client.CoreV1().ServiceAccounts(v.pod.Namespace)
	answer, err := accounts.CreateToken(ctx, v.pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	v.tokens[projection.Audience] = token{
		value:   answer.Status.Token,
		renewAt: now.Add(answer.Status.ExpirationTimestamp.Sub(now) * 4 / 5),
	}
	return answer.Status.Token, nil
}
