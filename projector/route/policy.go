package route

import (
	"fmt"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// policy is a BackendTLSPolicy, as far as it depends on no Gateway and no other policy.
type policy struct {
	order   order
	targets []target
	// tls is how to reach the targets; nil while that cannot be: then what is for them
	// fails (BackendTLSPolicyValidation.caCertificateRefs).
	tls *BackendTLS
	// authorities are the usable objects with CA certificates.
	authorities        []events.Key
	accepted, resolved problem
	stale              string          // why the newest form is not in force
	verdict            routing.Verdict // without ancestors
}

// target is a Service that a policy is for, or one of its ports.
type target struct {
	service events.Key
	section string // name of a port; "" is all
}

func (t *Tables) computePolicy(r *reader, key events.Key) *policy {
	o, spec := get[gatewayv1.BackendTLSPolicySpec](r, key)
	if spec == nil {
		return nil
	}
	p := &policy{order: order{created: o.Created, name: key.Namespace + "/" + key.Name}, stale: o.Problem, verdict: *newVerdict(o)}
	for _, ref := range spec.TargetRefs {
		if ref.Group == "" && ref.Kind == "Service" {
			service := events.Key{Resource: events.Services, Namespace: key.Namespace, Name: string(ref.Name)}
			p.targets = appendNew(p.targets, target{service, or(ref.SectionName, "")})
		}
	}
	tls := &BackendTLS{Policy: key, Hostname: string(spec.Validation.Hostname), CA: policyAuthorities(key), Names: altNames(&spec.Validation)}
	switch known := spec.Validation.WellKnownCACertificates; {
	case len(spec.Validation.CACertificateRefs) > 0:
		p.resolveAuthorities(r, key.Namespace, spec.Validation.CACertificateRefs)
	case known == nil || *known != gatewayv1.WellKnownCACertificatesSystem:
		p.accepted = problem{string(gatewayv1.PolicyReasonInvalid), fmt.Sprintf("wellKnownCACertificates is %q; use %q, or name certificates in caCertificateRefs.", or(known, ""), gatewayv1.WellKnownCACertificatesSystem)}
	}
	if p.accepted.ok() {
		p.tls = tls
	}
	return p
}

// resolveAuthorities finds the CA certificates. Some are enough to make connections;
// without any the policy is not accepted.
func (p *policy) resolveAuthorities(r *reader, namespace string, refs []gatewayv1.LocalObjectReference) {
	for _, ref := range refs {
		key, ok := events.ReferenceKey(string(ref.Group), string(ref.Kind), namespace, string(ref.Name))
		var found problem
		if !ok {
			found = problem{string(gatewayv1.BackendTLSPolicyReasonInvalidKind), fmt.Sprintf(
				"caCertificateRefs names the %s %s of group %q; use a ConfigMap, a Secret or a ClusterTrustBundle.", ref.Kind, ref.Name, ref.Group)}
		} else if _, why := r.authorities(key); why != "" {
			found = problem{string(gatewayv1.BackendTLSPolicyReasonInvalidCACertificateRef), fmt.Sprintf("The %s %s.", called(string(ref.Kind), key.Namespace, key.Name), why)}
		} else {
			p.authorities = appendNew(p.authorities, key)
		}
		if p.resolved.ok() {
			p.resolved = found
		}
	}
	if len(p.authorities) == 0 {
		p.accepted = problem{string(gatewayv1.BackendTLSPolicyReasonNoValidCACertificate), "No caCertificateRef can be used, so nothing is sent to the backend: " + p.resolved.message}
	}
}

// altNames are those of which a backend's certificate must have one: subjectAltNames,
// or where there are none the hostname (BackendTLSPolicyValidation.hostname).
func altNames(validation *gatewayv1.BackendTLSPolicyValidation) []AltName {
	if len(validation.SubjectAltNames) == 0 {
		return []AltName{{Value: string(validation.Hostname)}}
	}
	var out []AltName
	for _, name := range validation.SubjectAltNames {
		if name.Type == gatewayv1.URISubjectAltNameType {
			out = append(out, AltName{URI: true, Value: string(name.URI)})
		} else {
			out = append(out, AltName{Value: string(name.Hostname)})
		}
	}
	return out
}

// policyFor is the policy that is in force for a port of a Service, or nil: one that
// names the port ahead of one for the whole Service, and then the oldest
// (BackendTLSPolicySpec.targetRefs). The caller has read the Service: a change of
// its policies counts as one of the Service (see setPolicy).
func (t *Tables) policyFor(service events.Key, port string) (best *policy) {
	rank := -1
	t.targets[service].each(func(key events.Key) { // the order is total
		p := t.policies[key]
		for _, section := range []string{"", port} {
			if better := specificity(section); p.selects(target{service, section}) &&
				(better > rank || better == rank && p.order.compare(best.order) < 0) {
				best, rank = p, better
			}
		}
	})
	return best
}

func specificity(section string) int { return min(len(section), 1) }

func (p *policy) selects(wanted target) bool { return slices.Contains(p.targets, wanted) }

// rival is the policy that takes precedence over p for a target, or nil.
func (t *Tables) rival(p *policy, of target) (best *policy) {
	t.targets[of.service].each(func(key events.Key) { // the order is total
		other := t.policies[key]
		if other.selects(of) && other.order.compare(p.order) < 0 && (best == nil || other.order.compare(best.order) < 0) {
			best = other
		}
	})
	return best
}

// policyAuthorities is the name of the secret with the CA certificates of a policy.
func policyAuthorities(policy events.Key) string {
	return authoritiesPrefix + "policy/" + policy.Namespace + "/" + policy.Name
}

// authoritiesPrefix begins the names of secrets with CA certificates. With what
// follows they have more parts than those of certificates, which are namespace/name.
const authoritiesPrefix = "ca/"

// exists tells whether there is such a Service with such a port.
func (t target) exists(service *fold.Service) bool {
	if service == nil || t.section == "" {
		return service != nil
	}
	for _, port := range service.Ports {
		if port.Name == t.section {
			return true
		}
	}
	return false
}
