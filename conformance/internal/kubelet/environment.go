package kubelet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// imagePath is the PATH of every image.
const imagePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environment is what the containers of one pod can refer to.
type environment struct {
	kubelet *Kubelet
	pod     *corev1.Pod
	address string // of the pod
}

// variables returns the environment of a container, by name.
func (e *environment) variables(container *corev1.Container) (map[string]string, error) {
	result := map[string]string{"PATH": imagePath, "HOSTNAME": hostnameOf(e.pod)}
	maps.Copy(result, e.apiServer())
	for i := range container.EnvFrom {
		if err := e.addAll(result, &container.EnvFrom[i]); err != nil {
			return nil, err
		}
	}
	for i := range container.Env {
		variable := &container.Env[i]
		if variable.ValueFrom == nil {
			result[variable.Name] = expand(variable.Value, result)
			continue
		}
		value, found, err := e.from(container, variable.ValueFrom)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", variable.Name, err)
		}
		if found {
			result[variable.Name] = value
		}
	}
	return result, nil
}

// apiServer are the variables by which clients in pods find the API server.
func (e *environment) apiServer() map[string]string {
	service, err := e.kubelet.services.Services("default").Get("kubernetes")
	if err != nil {
		return nil // a moment after the very start; the API server makes it
	}
	return map[string]string{
		"KUBERNETES_SERVICE_HOST":       service.Spec.ClusterIP,
		"KUBERNETES_SERVICE_PORT":       "443",
		"KUBERNETES_SERVICE_PORT_HTTPS": "443",
	}
}

// addAll adds everything in a ConfigMap or Secret.
func (e *environment) addAll(to map[string]string, source *corev1.EnvFromSource) error {
	var values map[string]string
	var err error
	switch {
	case source.ConfigMapRef != nil:
		values, err = e.kubelet.configMap(e.pod.Namespace, source.ConfigMapRef.Name, source.ConfigMapRef.Optional)
	case source.SecretRef != nil:
		values, err = e.kubelet.secret(e.pod.Namespace, source.SecretRef.Name, source.SecretRef.Optional)
	}
	if err != nil {
		return err
	}
	for name, value := range values {
		to[source.Prefix+name] = value
	}
	return nil
}

// from returns the value that a variable takes from elsewhere; an optional one may not
// be found.
func (e *environment) from(container *corev1.Container, source *corev1.EnvVarSource) (value string, found bool, err error) {
	var values map[string]string
	var key string
	var optional *bool
	switch {
	case source.FieldRef != nil:
		value, err = e.field(source.FieldRef.FieldPath)
		return value, true, err
	case source.ResourceFieldRef != nil:
		value, err = resourceField(container, source.ResourceFieldRef)
		return value, true, err
	case source.ConfigMapKeyRef != nil:
		ref := source.ConfigMapKeyRef
		key, optional = ref.Key, ref.Optional
		values, err = e.kubelet.configMap(e.pod.Namespace, ref.Name, optional)
	case source.SecretKeyRef != nil:
		ref := source.SecretKeyRef
		key, optional = ref.Key, ref.Optional
		values, err = e.kubelet.secret(e.pod.Namespace, ref.Name, optional)
	default:
		return "", false, fmt.Errorf("this source is not supported")
	}
	if err != nil {
		return "", false, err
	}
	value, found = values[key]
	if !found && !isTrue(optional) {
		return "", false, fmt.Errorf("there is no key %s", key)
	}
	return value, found, nil
}

// configMap returns the values of a ConfigMap, or none if it may be missing.
func (k *Kubelet) configMap(namespace, name string, optional *bool) (map[string]string, error) {
	found, err := k.configMaps.ConfigMaps(namespace).Get(name)
	if apierrors.IsNotFound(err) && isTrue(optional) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get ConfigMap %s: %w", name, err)
	}
	values := make(map[string]string, len(found.Data)+len(found.BinaryData))
	maps.Copy(values, found.Data)
	for key, value := range found.BinaryData {
		values[key] = string(value)
	}
	return values, nil
}

// secret returns the values of a Secret, or none if it may be missing.
func (k *Kubelet) secret(namespace, name string, optional *bool) (map[string]string, error) {
	found, err := k.secrets.Secrets(namespace).Get(name)
	if apierrors.IsNotFound(err) && isTrue(optional) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get Secret %s: %w", name, err)
	}
	values := make(map[string]string, len(found.Data))
	for key, value := range found.Data {
		values[key] = string(value)
	}
	return values, nil
}

// expand replaces $(NAME) by the value of NAME, where there is one. $$ is a dollar.
func expand(text string, values map[string]string) string {
	var result strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		result.WriteString(before)
		if !found {
			return result.String()
		}
		if rest, escaped := strings.CutPrefix(after, "$"); escaped {
			result.WriteByte('$')
			text = rest
			continue
		}
		text = after
		if inner, opened := strings.CutPrefix(after, "("); opened {
			if name, rest, closed := strings.Cut(inner, ")"); closed {
				if value, known := values[name]; known {
					result.WriteString(value)
					text = rest
					continue
				}
			}
		}
		result.WriteByte('$')
	}
}

// pairs is an environment as a process takes it.
func pairs(values map[string]string) []string {
	result := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		result = append(result, name+"="+values[name])
	}
	return result
}

func isTrue(flag *bool) bool { return flag != nil && *flag }
