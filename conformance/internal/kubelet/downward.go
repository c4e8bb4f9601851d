package kubelet

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// field returns what a pod says of itself under a path of the downward API.
func (e *environment) field(path string) (string, error) {
	pod := e.pod
	if name, key, found := subscript(path); found {
		switch name {
		case "metadata.labels":
			return pod.Labels[key], nil
		case "metadata.annotations":
			return pod.Annotations[key], nil
		}
		return "", fmt.Errorf("field %s is not supported", path)
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return lines(pod.Labels), nil
	case "metadata.annotations":
		return lines(pod.Annotations), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		return e.kubelet.cfg.Network.Node().String(), nil
	case "status.podIP", "status.podIPs":
		return e.address, nil
	default:
		return "", fmt.Errorf("field %s is not supported", path)
	}
}

// subscript takes metadata.labels['key'] apart.
func subscript(path string) (name, key string, found bool) {
	name, rest, found := strings.Cut(path, "['")
	if !found {
		return "", "", false
	}
	key, found = strings.CutSuffix(rest, "']")
	return name, key, found
}

// lines is a map as a file of the downward API has it.
func lines(values map[string]string) string {
	var result strings.Builder
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&result, "%s=%q\n", key, values[key])
	}
	return result.String()
}

// resourceField returns a request or limit of a container, in units of the divisor,
// rounded up. What has no limit is limited by the machine.
func resourceField(container *corev1.Container, selector *corev1.ResourceFieldSelector) (string, error) {
	kind, name, _ := strings.Cut(selector.Resource, ".")
	var list corev1.ResourceList
	switch kind {
	case "limits":
		list = container.Resources.Limits
	case "requests":
		list = container.Resources.Requests
	default:
		return "", fmt.Errorf("resource %s is not supported", selector.Resource)
	}
	quantity, found := list[corev1.ResourceName(name)]
	if !found && kind == "limits" {
		switch corev1.ResourceName(name) {
		case corev1.ResourceCPU:
			quantity = *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI)
		case corev1.ResourceMemory:
			quantity = resource.MustParse("16Gi")
		}
	}
	divisor := selector.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	return strconv.FormatInt(int64(math.Ceil(quantity.AsApproximateFloat64()/divisor.AsApproximateFloat64())), 10), nil
}
