package manifests

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func serviceMeta(s *corev1.Service) *metav1.ObjectMeta { return &s.ObjectMeta }

// defaultService sets what SetDefaults_Service of the API server sets and
// routing may read. Addresses and node ports are allocated there, never here.
func defaultService(s *corev1.Service) {
	if s.Spec.SessionAffinity == "" {
		s.Spec.SessionAffinity = corev1.ServiceAffinityNone
	}
	if s.Spec.Type == "" {
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	for i := range s.Spec.Ports {
		port := &s.Spec.Ports[i]
		if port.Protocol == "" {
			port.Protocol = corev1.ProtocolTCP
		}
		if port.TargetPort == intstr.FromInt32(0) || port.TargetPort == intstr.FromString("") {
			port.TargetPort = intstr.FromInt32(port.Port)
		}
	}
}

// validateService is the part of ValidateService that concerns type and ports.
func validateService(s *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	spec := field.NewPath("spec")
	headless := s.Spec.ClusterIP == corev1.ClusterIPNone
	if len(s.Spec.Ports) == 0 && !headless && s.Spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(spec.Child("ports"), ""))
	}
	switch s.Spec.Type {
	case corev1.ServiceTypeExternalName:
		errs = append(errs, validateExternalName(s, spec)...)
	case corev1.ServiceTypeLoadBalancer:
		if headless {
			errs = append(errs, field.Invalid(spec.Child("clusterIPs").Index(0), s.Spec.ClusterIP, "may not be set to 'None' for LoadBalancer services"))
		}
	case corev1.ServiceTypeNodePort:
		if headless {
			errs = append(errs, field.Invalid(spec.Child("clusterIPs").Index(0), s.Spec.ClusterIP, "may not be set to 'None' for NodePort services"))
		}
	case corev1.ServiceTypeClusterIP:
	default:
		errs = append(errs, field.NotSupported(spec.Child("type"), s.Spec.Type,
			[]corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName}))
	}
	affinities := []corev1.ServiceAffinity{corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone}
	if !slices.Contains(affinities, s.Spec.SessionAffinity) {
		errs = append(errs, field.NotSupported(spec.Child("sessionAffinity"), s.Spec.SessionAffinity, affinities))
	}
	return append(errs, validateServicePorts(s, spec.Child("ports"))...)
}

func validateExternalName(s *corev1.Service, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Spec.ClusterIP != "" {
		errs = append(errs, field.Forbidden(spec.Child("clusterIPs"), "may not be set for ExternalName services"))
	}
	name := s.Spec.ExternalName
	if n := len(name); n > 0 && name[n-1] == '.' {
		name = name[:n-1] // the root label
	}
	if name == "" {
		return append(errs, field.Required(spec.Child("externalName"), ""))
	}
	for _, message := range validation.IsDNS1123Subdomain(name) {
		errs = append(errs, field.Invalid(spec.Child("externalName"), name, message))
	}
	return errs
}

func validateServicePorts(s *corev1.Service, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := map[string]bool{}
	numbers := map[corev1.ServicePort]bool{}
	for i, port := range s.Spec.Ports {
		at := path.Index(i)
		errs = append(errs, validatePortName(port.Name, len(s.Spec.Ports) > 1, names, at.Child("name"))...)
		for _, message := range validation.IsValidPortNum(int(port.Port)) {
			errs = append(errs, field.Invalid(at.Child("port"), port.Port, message))
		}
		errs = append(errs, validateProtocol(port.Protocol, at.Child("protocol"))...)
		errs = append(errs, validateTargetPort(port.TargetPort, at.Child("targetPort"))...)
		if port.NodePort != 0 && s.Spec.Type == corev1.ServiceTypeClusterIP {
			errs = append(errs, field.Forbidden(at.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
		}
		number := corev1.ServicePort{Protocol: port.Protocol, Port: port.Port}
		if numbers[number] {
			errs = append(errs, field.Duplicate(at, number))
		}
		numbers[number] = true
	}
	return errs
}

// validatePortName checks a port name; seen collects the names of one object.
func validatePortName(name string, required bool, seen map[string]bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		if required {
			errs = append(errs, field.Required(path, ""))
		}
		return errs
	}
	for _, message := range validation.IsDNS1123Label(name) {
		errs = append(errs, field.Invalid(path, name, message))
	}
	if seen[name] {
		errs = append(errs, field.Duplicate(path, name))
	}
	seen[name] = true
	return errs
}

func validateProtocol(protocol corev1.Protocol, path *field.Path) field.ErrorList {
	supported := []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
	if slices.Contains(supported, protocol) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, protocol, supported)}
}

func validateTargetPort(port intstr.IntOrString, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if port.Type == intstr.Int {
		for _, message := range validation.IsValidPortNum(int(port.IntVal)) {
			errs = append(errs, field.Invalid(path, port.IntVal, message))
		}
		return errs
	}
	for _, message := range validation.IsValidPortName(port.StrVal) {
		errs = append(errs, field.Invalid(path, port.StrVal, message))
	}
	return errs
}
