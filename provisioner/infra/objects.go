package infra

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events/routing"
)

// Config is what the Envoys of all Gateways have in common.
type Config struct {
	// EnvoyImage runs Envoy, RutterImage the agent beside it.
	EnvoyImage, RutterImage string
	PullPolicy              corev1.PullPolicy
	// XDSAddress is host:port of the xDS server.
	XDSAddress string
	// ServiceType of the Services; LoadBalancer where it is empty.
	ServiceType corev1.ServiceType
	// Replicas of each Deployment; 0 leaves them to others.
	Replicas int32
	// Concurrency is the number of Envoy's worker threads; 0 is one per core.
	Concurrency int
	// DrainLeast and DrainMost bound how long an Envoy takes to end.
	DrainLeast, DrainMost time.Duration
}

// Labels of everything that is made.
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = "rutter-provisioner"

	gatewayLabel = gatewayv1.GatewayNameLabelKey
	classLabel   = gatewayv1.GatewayClassNameLabelKey
)

// Object is one of those that are made.
type Object interface {
	metav1.Object
	runtime.Object
}

// Objects are what the Envoys of a Gateway need, in the order in which to apply
// them. They expect the certificate in the Secret [SecretName].
func Objects(gateway types.NamespacedName, in *routing.Infrastructure, c *Config) ([]Object, error) {
	b := &builder{gateway: gateway, in: in, Config: c}
	config, err := b.configMap()
	if err != nil {
		return nil, fmt.Errorf("bootstrap of gateway %s: %w", gateway, err)
	}
	return []Object{b.serviceAccount(), config, b.service(), b.disruptionBudget(), b.deployment(digestOf(config.Data))}, nil
}

// SecretName is the Secret with the certificate that the Envoys of a Gateway show
// to the xDS server.
func SecretName(in *routing.Infrastructure) string { return in.Name + "-xds" }

// Meta is the metadata of an object that is made for a Gateway.
func Meta(gateway types.NamespacedName, in *routing.Infrastructure, name string) metav1.ObjectMeta {
	labels := maps.Clone(in.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, selector(gateway, in))
	controller := true
	return metav1.ObjectMeta{
		Name: name, Namespace: gateway.Namespace, Labels: labels, Annotations: maps.Clone(in.Annotations),
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: gatewayv1.GroupVersion.String(), Kind: "Gateway", Name: gateway.Name, UID: types.UID(in.UID), Controller: &controller,
		}},
	}
}

// Selector finds all that was made for a Gateway, also under another class.
func Selector(gateway types.NamespacedName) map[string]string {
	return map[string]string{ManagedByLabel: ManagedBy, gatewayLabel: labelValue(gateway.Name)}
}

// selector finds the pods. A Deployment's can never be changed, so it holds nothing
// that could.
func selector(gateway types.NamespacedName, in *routing.Infrastructure) map[string]string {
	labels := Selector(gateway)
	labels[classLabel] = labelValue(in.Class)
	return labels
}

// labelValue is a name where a label can have it, otherwise its beginning and a hash.
func labelValue(name string) string {
	const most = 63
	if len(name) <= most {
		return name
	}
	hash := "-" + digestOf(map[string]string{"": name})[:8]
	return strings.TrimRight(name[:most-len(hash)], "-.") + hash
}

type builder struct {
	*Config
	gateway types.NamespacedName
	in      *routing.Infrastructure
}

func (b *builder) meta() metav1.ObjectMeta { return Meta(b.gateway, b.in, b.in.Name) }

func (b *builder) serviceAccount() *corev1.ServiceAccount {
	no := false
	return &corev1.ServiceAccount{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: b.meta(), AutomountServiceAccountToken: &no,
	}
}

func (b *builder) service() *corev1.Service {
	s := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: b.meta(),
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: selector(b.gateway, b.in)},
	}
	if kind := cmp.Or(corev1.ServiceType(b.in.ServiceType), b.ServiceType); kind != "" {
		s.Spec.Type = kind
	}
	if len(b.in.ServiceAnnotations) > 0 {
		annotations := maps.Clone(b.in.ServiceAnnotations)
		maps.Copy(annotations, s.Annotations)
		s.Annotations = annotations
	}
	if b.in.Internal {
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	if b.in.DualStack {
		policy := corev1.IPFamilyPolicyPreferDualStack
		s.Spec.IPFamilyPolicy = &policy
	}
	s.Spec.ExternalIPs = b.in.Addresses
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer && len(b.in.Addresses) > 0 {
		// A load balancer can be asked for one address.
		s.Spec.LoadBalancerIP, s.Spec.ExternalIPs = b.in.Addresses[0], b.in.Addresses[1:]
	}
	for _, p := range b.in.Ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: fmt.Sprintf("%s-%d", strings.ToLower(p.Protocol), p.Port), Protocol: corev1.Protocol(p.Protocol), Port: p.Port, TargetPort: intstr.FromInt32(p.Port),
		})
	}
	return s
}

// disruptionBudget lets a node be emptied one pod of a Gateway at a time.
func (b *builder) disruptionBudget() *policyv1.PodDisruptionBudget {
	one := intstr.FromInt32(1)
	return &policyv1.PodDisruptionBudget{
		TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}, ObjectMeta: b.meta(),
		Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one, Selector: &metav1.LabelSelector{MatchLabels: selector(b.gateway, b.in)}},
	}
}

// Encode is an object as it is applied: without status, and without what is empty
// and would only claim fields.
func Encode(o Object) ([]byte, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", o.GetName(), err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("encode %s: %w", o.GetName(), err)
	}
	delete(fields, "status")
	if spec, ok := fields["spec"].(map[string]any); ok {
		if strategy, ok := spec["strategy"].(map[string]any); ok && len(strategy) == 0 {
			delete(spec, "strategy")
		}
	}
	return json.Marshal(fields)
}
