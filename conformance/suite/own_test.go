package suite

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/features"

	"github.com/rutter-gateway/rutter/conformance/internal/patience"
)

// testOwn is for the features, and the SHOULDs, that the suite has no test of, as far as
// they need a cluster. On the standard channel it holds that they are not claimed.
func testOwn(t *testing.T, objects client.Client) {
	experimental := Channel(*channel) == Experimental
	t.Run("Features", func(t *testing.T) {
		var class gatewayv1.GatewayClass
		patience.Await(t, "the features of the class", func() error {
			if err := objects.Get(t.Context(), client.ObjectKey{Name: "rutter"}, &class); err != nil {
				return err
			}
			var claimed []string
			for _, feature := range class.Status.SupportedFeatures {
				claimed = append(claimed, string(feature.Name))
			}
			for feature := range features.AllFeatures {
				name := string(feature.Name)
				want := !slices.Contains(exempt(Channel(*channel)), feature.Name)
				if slices.Contains(claimed, name) != want {
					return fmt.Errorf("%s is claimed: %v", name, !want)
				}
			}
			return nil
		})
	})
	t.Run("ClassInUse", func(t *testing.T) { testClassInUse(t, objects) })
	if experimental {
		t.Run("Routability", func(t *testing.T) { testRoutability(t, objects) })
		t.Run("ListenerFilters", func(t *testing.T) { testListenerFilters(t, objects) })
		return
	}
	t.Run("WithoutRoutability", func(t *testing.T) {
		gw := newGateway(t, objects, "own-standard")
		patience.Await(t, "its status", func() error {
			if err := objects.Get(t.Context(), client.ObjectKeyFromObject(gw), gw); err != nil {
				return err
			}
			if !meta.IsStatusConditionTrue(gw.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed)) {
				return fmt.Errorf("it is not programmed: %v", gw.Status.Conditions)
			}
			return nil
		})
		if c := meta.FindStatusCondition(gw.Status.Conditions, string(gatewayv1.GatewayConditionAddressesAssigned)); c != nil || gw.Status.Addresses[0].Routability != nil {
			t.Errorf("it says %v and %v", c, gw.Status.Addresses)
		}
	})
}

// asks is an address of a Gateway, by its type (IPAddress), value and routability.
func asks(value, routability string) gatewayv1.GatewaySpecAddress {
	kind := gatewayv1.IPAddressType
	return gatewayv1.GatewaySpecAddress{Type: &kind, Value: value, Routability: gatewayv1.GatewayAddressRoutabilityType(routability)}
}

func newGateway(t *testing.T, objects client.Client, name string, addresses ...gatewayv1.GatewaySpecAddress) *gatewayv1.Gateway {
	t.Helper()
	gw := &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: gatewayv1.GatewaySpec{
			GatewayClassName: "rutter", Addresses: addresses,
			Listeners: []gatewayv1.Listener{{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType}},
		},
	}
	if err := objects.Create(t.Context(), gw); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Delete(t.Context(), gw) })
	return gw
}

// testRoutability is what GEP-5093 lists under "Conformance test scenarios", and that
// the addresses answer.
func testRoutability(t *testing.T, objects client.Client) {
	const sentinel = "testing.x-k8s.io/sentinel"
	anchor := newGateway(t, objects, "own-anchor")
	free := freeClusterIP(t, objects, anchor)
	for _, test := range []struct {
		name       string
		asks       []gatewayv1.GatewaySpecAddress
		reported   string // the routabilities of status.addresses
		value      string // one of status.addresses
		programmed string
		assigned   string
	}{
		{"without", nil, "-", "", "Programmed", "AddressesAssigned"},
		{"empty", []gatewayv1.GatewaySpecAddress{asks("", "")}, "-", "", "Programmed", "AddressesAssigned"},
		{"sentinel", []gatewayv1.GatewaySpecAddress{asks("", sentinel)}, sentinel, "", "Programmed", "AddressesAssigned"},
		{"cluster", []gatewayv1.GatewaySpecAddress{asks("", "Cluster")}, "Cluster", "", "Programmed", "AddressesAssigned"},
		{"both", []gatewayv1.GatewaySpecAddress{asks("", "Cluster"), asks("", "")}, "- Cluster", "", "Programmed", "AddressesAssigned"},
		{"static", []gatewayv1.GatewaySpecAddress{asks(free, "Cluster")}, "Cluster", free, "Programmed", "AddressesAssigned"},
		{"outside", []gatewayv1.GatewaySpecAddress{asks("192.0.2.77", "Cluster")}, "", "", "AddressNotAssigned", "NotAssigned"},
		{"partly", []gatewayv1.GatewaySpecAddress{asks("192.0.2.77", "Cluster"), asks("", "")}, "-", "", "Programmed", "PartiallyAssigned"},
		{"unknown", []gatewayv1.GatewaySpecAddress{asks("", "example.com/vpc"), asks("", "testing.x-k8s.io/other")}, "", "", "AddressNotAssigned", "NotAssigned"},
	} {
		t.Run(test.name, func(t *testing.T) {
			gw := newGateway(t, objects, "own-"+test.name, test.asks...)
			patience.Await(t, gw.Name, func() error {
				if err := objects.Get(t.Context(), client.ObjectKeyFromObject(gw), gw); err != nil {
					return err
				}
				return isReached(gw, test.reported, test.value, test.programmed, test.assigned)
			})
			for _, address := range gw.Status.Addresses {
				patience.Await(t, address.Value, func() error {
					response, err := http.Get("http://" + address.Value + "/")
					if err != nil {
						return err
					}
					defer response.Body.Close()
					if response.StatusCode != http.StatusNotFound || response.Header.Get("Server") != "" && response.Header.Get("Server") != "envoy" {
						return fmt.Errorf("it answers %s", response.Status)
					}
					return nil
				})
			}
			if test.reported == "Cluster" {
				checkInternal(t, objects, gw)
			}
		})
	}
	for _, refused := range []string{"Public", "k8s.io/x", "a.k8s.io/x", "UPPER/x", "example.com/"} {
		gw := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "own-refused"}, Spec: gatewayv1.GatewaySpec{
			GatewayClassName: "rutter", Addresses: []gatewayv1.GatewaySpecAddress{asks("", refused)}, Listeners: anchor.Spec.Listeners,
		}}
		if err := objects.Create(t.Context(), gw); err == nil {
			t.Errorf("the API server takes the routability %q", refused)
		}
	}
}

func isReached(gw *gatewayv1.Gateway, reported, value, programmed, assigned string) error {
	var found []string
	has := value == ""
	for _, address := range gw.Status.Addresses {
		if address.Routability == nil {
			return fmt.Errorf("the address %s says nothing of its routability", address.Value)
		}
		found = append(found, cmp.Or(string(*address.Routability), "-"))
		has = has || address.Value == value
	}
	slices.Sort(found)
	if got := strings.Join(found, " "); got != reported || !has {
		return fmt.Errorf("it is reached at %v (%s)", gw.Status.Addresses, got)
	}
	for kind, want := range map[gatewayv1.GatewayConditionType]string{gatewayv1.GatewayConditionProgrammed: programmed, gatewayv1.GatewayConditionAddressesAssigned: assigned} {
		c := meta.FindStatusCondition(gw.Status.Conditions, string(kind))
		if c == nil || c.Reason != want || c.ObservedGeneration != gw.Generation || (c.Status == metav1.ConditionTrue) != (want == string(kind)) {
			return fmt.Errorf("%s is %v", kind, c)
		}
	}
	return nil
}

// checkInternal sees that nothing outside leads to a Gateway that asks for nothing there.
func checkInternal(t *testing.T, objects client.Client, gw *gatewayv1.Gateway) {
	t.Helper()
	var service corev1.Service
	if err := objects.Get(t.Context(), client.ObjectKey{Namespace: gw.Namespace, Name: gw.Name + "-rutter"}, &service); err != nil {
		t.Fatal(err)
	}
	if service.Spec.Type != corev1.ServiceTypeClusterIP || len(service.Spec.ExternalIPs) > 0 {
		t.Errorf("its Service is %+v", service.Spec)
	}
}

// freeClusterIP is an address for Services that nobody has: next to a Gateway's.
func freeClusterIP(t *testing.T, objects client.Client, gw *gatewayv1.Gateway) (free string) {
	t.Helper()
	patience.Await(t, "a Service of the cluster", func() error {
		var service corev1.Service
		if err := objects.Get(t.Context(), client.ObjectKey{Namespace: gw.Namespace, Name: gw.Name + "-rutter"}, &service); err != nil {
			return err
		}
		var all corev1.ServiceList
		if err := objects.List(t.Context(), &all); err != nil {
			return err
		}
		prefix := service.Spec.ClusterIP[:strings.LastIndexByte(service.Spec.ClusterIP, '.')+1]
		for last := 20; last < 250 && free == ""; last++ {
			candidate := fmt.Sprintf("%s%d", prefix, last)
			if !slices.ContainsFunc(all.Items, func(s corev1.Service) bool { return s.Spec.ClusterIP == candidate }) {
				free = candidate
			}
		}
		return nil
	})
	return free
}

// testListenerFilters is what of GEP-5224 can be shown in a cluster without a server of
// one's own: everybody is let in by one that answers 200, and nobody where none answers.
// What they are told, and what they change, is in projector/envoy/auth_test.go.
func testListenerFilters(t *testing.T, objects client.Client) {
	labels := map[string]string{"app": "own-echo"}
	container := corev1.Container{Name: "echo", Image: "registry.k8s.io/gateway-api/echo-basic:own"}
	for _, name := range []string{"POD_NAME", "NAMESPACE"} {
		container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: "own"})
	}
	service := func(name string, selector map[string]string) *corev1.Service {
		return &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(3000)}}},
		}
	}
	route := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "own-filters"}, Spec: gatewayv1.HTTPRouteSpec{
		CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{Name: "own-filters"}}},
		Rules: []gatewayv1.HTTPRouteRule{{BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
			BackendObjectReference: gatewayv1.BackendObjectReference{Name: "own-echo", Port: new(gatewayv1.PortNumber(80))},
		}}}}},
	}}
	asking := func(name, backend string) gatewayv1.Listener {
		return gatewayv1.Listener{
			Name: gatewayv1.SectionName(name), Hostname: new(gatewayv1.Hostname(name + ".example")), Port: 80, Protocol: gatewayv1.HTTPProtocolType,
			Filters: &gatewayv1.ListenerFilters{Requests: []gatewayv1.ListenerFilter{{
				Type: gatewayv1.ListenerFilterExternalAuth, ExternalAuth: &gatewayv1.HTTPExternalAuthFilter{
					ExternalAuthProtocol: gatewayv1.HTTPRouteExternalAuthHTTPProtocol, HTTPAuthConfig: &gatewayv1.HTTPAuthConfig{AllowedResponseHeaders: []string{"x-own"}},
					BackendRef: gatewayv1.BackendObjectReference{Name: gatewayv1.ObjectName(backend), Port: new(gatewayv1.PortNumber(80))},
				},
			}}},
		}
	}
	gw := &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "own-filters"},
		Spec: gatewayv1.GatewaySpec{GatewayClassName: "rutter", Listeners: []gatewayv1.Listener{
			asking("lets-in", "own-echo"), asking("nobody", "own-nobody"), asking("unresolved", "own-missing"), {
				Name: "extension", Hostname: new(gatewayv1.Hostname("extension.example")), Port: 80, Protocol: gatewayv1.HTTPProtocolType,
				Filters: &gatewayv1.ListenerFilters{Requests: []gatewayv1.ListenerFilter{{
					Type: gatewayv1.ListenerFilterExtensionRef, ExtensionRef: &gatewayv1.LocalObjectReference{Group: "example.com", Kind: "F", Name: "f"},
				}}},
			},
		}},
	}
	for _, o := range []client.Object{
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "own-echo"}, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{container}}},
		}}, service("own-echo", labels), service("own-nobody", map[string]string{"app": "nobody"}), gw, route,
	} {
		if err := objects.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = objects.Delete(t.Context(), o) })
	}
	for _, test := range []struct{ listener, kind, reason string }{
		{"lets-in", "Accepted", "Accepted"}, {"lets-in", "Programmed", "Programmed"}, {"nobody", "Programmed", "Programmed"},
		{"unresolved", "ResolvedRefs", "InvalidListenerFilterRef"}, {"extension", "Accepted", "UnsupportedValue"},
	} {
		patience.Await(t, test.listener+" "+test.kind, func() error {
			if err := objects.Get(t.Context(), client.ObjectKeyFromObject(gw), gw); err != nil {
				return err
			}
			for _, l := range gw.Status.Listeners {
				if c := meta.FindStatusCondition(l.Conditions, test.kind); string(l.Name) == test.listener && c != nil && c.Reason == test.reason {
					return nil
				}
			}
			return fmt.Errorf("the listeners are %v", gw.Status.Listeners)
		})
	}
	for host, want := range map[string]int{"lets-in.example": 200, "nobody.example": 403, "unresolved.example": 404, "extension.example": 404} {
		patience.Await(t, host, func() error {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+gw.Status.Addresses[0].Value+"/", nil)
			if err != nil {
				return err
			}
			request.Host = host
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if response.StatusCode != want {
				return fmt.Errorf("it answers %s", response.Status)
			}
			return nil
		})
	}
	wrong := asking("tcp", "own-echo")
	wrong.Hostname, wrong.Protocol = nil, gatewayv1.TCPProtocolType
	if err := objects.Create(t.Context(), &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "own-wrong"},
		Spec:       gatewayv1.GatewaySpec{GatewayClassName: "rutter", Listeners: []gatewayv1.Listener{wrong}},
	}); err == nil {
		t.Error("the API server takes filters of requests on a TCP listener")
	}
}
