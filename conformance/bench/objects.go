package bench

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	namespace   = "bench"
	gatewayName = "gw"
	backendName = "backend"
	className   = "rutter"
	port        = 80
	backendPort = 3000
)

// meta makes each object as large as real ones are.
func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: namespace, Annotations: map[string]string{"note": strings.Repeat("x", 1200)}}
}

func gatewayObject() *gatewayv1.Gateway {
	return &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: gatewayName, Namespace: namespace},
		Spec: gatewayv1.GatewaySpec{
			GatewayClassName: className,
			Listeners:        []gatewayv1.Listener{{Name: "http", Port: port, Protocol: gatewayv1.HTTPProtocolType}},
		},
	}
}

// nameOf is the name of a route, its Service and its EndpointSlice.
func nameOf(i int) string { return fmt.Sprintf("route-%d", i) }

// hostOf is the hostname of a route.
func hostOf(i int) string { return nameOf(i) + ".example.com" }

func route(i int) *gatewayv1.HTTPRoute {
	servicePort := gatewayv1.PortNumber(port)
	return &gatewayv1.HTTPRoute{
		ObjectMeta: meta(nameOf(i)),
		Spec: gatewayv1.HTTPRouteSpec{
			CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{Name: gatewayName}}},
			Hostnames:       []gatewayv1.Hostname{gatewayv1.Hostname(hostOf(i))},
			Rules: []gatewayv1.HTTPRouteRule{{BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
				BackendObjectReference: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(nameOf(i)), Port: &servicePort},
			}}}}},
		},
	}
}

// service has no selector: that no controller takes part in what is measured is the
// reason for endpointSlice.
func service(i int) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: meta(nameOf(i)),
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: port, TargetPort: intstr.FromInt32(backendPort)}}},
	}
}

func endpointSlice(i int, address string) *discoveryv1.EndpointSlice {
	name, number, ready := "http", int32(backendPort), true
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: meta(nameOf(i)), AddressType: discoveryv1.AddressTypeIPv4,
		Ports:     []discoveryv1.EndpointPort{{Name: &name, Port: &number}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: nameOf(i), discoveryv1.LabelManagedBy: "bench"}
	return slice
}

func backendPod() *corev1.Pod {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: backendName, Namespace: namespace},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "backend", Image: "echo-basic", Env: []corev1.EnvVar{field("POD_NAME", "metadata.name"), field("NAMESPACE", "metadata.namespace")},
			ReadinessProbe: &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(backendPort)}},
				PeriodSeconds: 1,
			},
		}}},
	}
}
