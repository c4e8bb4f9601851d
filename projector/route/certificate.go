package route

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
)

// resolveCertificates finds the Secrets of a terminating listener
// (ListenerTLSConfig.certificateRefs). Those that can be used are served even
// when others cannot.
func (l *listener) resolveCertificates(r *reader, object events.Key, tls *gatewayv1.ListenerTLSConfig) {
	if tls == nil || len(tls.CertificateRefs) == 0 {
		l.resolved = problem{string(gatewayv1.ListenerReasonInvalidCertificateRef), "tls.certificateRefs is empty; name a Secret of type kubernetes.io/tls."}
		return
	}
	for _, ref := range tls.CertificateRefs {
		name, p := resolveCertificate(r, object, ref)
		if p.ok() {
			l.certificates = append(l.certificates, name)
		} else if l.resolved.ok() {
			l.resolved = p
		}
	}
	l.warnings = l.inspect(r)
}

func resolveCertificate(r *reader, object events.Key, ref gatewayv1.SecretObjectReference) (string, problem) {
	invalid := func(format string, args ...any) (string, problem) {
		return "", problem{string(gatewayv1.ListenerReasonInvalidCertificateRef), fmt.Sprintf(format, args...)}
	}
	group, kind, namespace := or(ref.Group, ""), or(ref.Kind, "Secret"), or(ref.Namespace, object.Namespace)
	if group != "" || kind != "Secret" {
		return invalid("certificateRefs names a %s of group %q; only Secrets can hold certificates.", kind, group)
	}
	key := events.Key{Resource: events.Secrets, Namespace: namespace, Name: string(ref.Name)}
	name := namespace + "/" + key.Name
	if !r.granted(reference{
		fromGroup: gatewayv1.GroupName, fromKind: parentKinds[object.Resource], fromNamespace: object.Namespace,
		toGroup: "", toKind: "Secret", to: key,
	}) {
		return "", problem{string(gatewayv1.ListenerReasonRefNotPermitted), fmt.Sprintf("The Secret %s is in another namespace, and no ReferenceGrant there permits %ss of %s to use it.", name, parentKinds[object.Resource], object.Namespace)}
	}
	_, secret := get[events.Secret](r, key)
	switch {
	case secret == nil:
		return invalid("The Secret %s does not exist.", name)
	case secret.KeyPair == nil:
		return invalid("The Secret %s has no tls.crt and tls.key.", name)
	case secret.KeyPair.Problem != "":
		return invalid("The Secret %s cannot be used: %s.", name, secret.KeyPair.Problem)
	}
	return name, problem{}
}

// computeSecret is nil while the Secret is not usable.
func (t *Tables) computeSecret(r *reader, id SecretID) *Secret {
	if policy, ok := strings.CutPrefix(id.Name, authoritiesPrefix+"policy/"); ok {
		return t.policySecret(r, id, policy)
	}
	if port, ok := strings.CutPrefix(id.Name, authoritiesPrefix+"frontend/"); ok {
		return t.clientSecret(r, id, port)
	}
	key := secretKey(id.Name)
	_, secret := get[events.Secret](r, key)
	if secret == nil || secret.KeyPair == nil || secret.KeyPair.Problem != "" {
		return nil
	}
	return &Secret{ID: id, Key: key, CertificateChain: secret.Data["tls.crt"], SealedKey: secret.KeyPair.SealedKey}
}

// UsersOf are the Gateway and the ListenerSets of it that present the certificate of a
// Secret, sorted by precedence: to clients, or, the Gateway, to backends.
func (t *Tables) UsersOf(gateway string, secret events.Key) []events.Key {
	name := secret.Namespace + "/" + secret.Name
	var users []events.Key
	for _, p := range t.merged[gateway].orEmpty().parents {
		presents := slices.ContainsFunc(p.listeners, func(l *listener) bool { return slices.Contains(l.certificates, name) })
		if presents || p.key == gatewayKey(gateway) && t.gateways[gateway].clientCertificate == name {
			users = append(users, p.key)
		}
	}
	return users
}

// secretKey is the key of a Secret that is named namespace/name.
func secretKey(name string) events.Key {
	namespace, name, _ := strings.Cut(name, "/")
	return events.Key{Resource: events.Secrets, Namespace: namespace, Name: name}
}

// policySecret is what a policy (namespace/name) says to trust.
func (t *Tables) policySecret(r *reader, id SecretID, name string) *Secret {
	namespace, name, _ := strings.Cut(name, "/")
	key := events.Key{Resource: events.BackendTLSPolicies, Namespace: namespace, Name: name}
	r.note(policyOf(key))
	p := t.policies[key]
	if p == nil || p.tls == nil {
		return nil
	}
	if len(p.authorities) == 0 {
		return &Secret{ID: id, Key: key, System: true}
	}
	return &Secret{ID: id, Key: p.authorities[0], Authorities: r.bundle(p.authorities)}
}
