package route

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// validationFor is how a port validates the certificates of clients: as it says for
// itself, or else by default (FrontendTLSConfig). Nil is not at all.
func validationFor(gw *gatewayv1.Gateway, port int32) *gatewayv1.FrontendTLSValidation {
	if gw.Spec.TLS == nil || gw.Spec.TLS.Frontend == nil {
		return nil
	}
	frontend := gw.Spec.TLS.Frontend
	for i := range frontend.PerPort {
		if frontend.PerPort[i].Port == port {
			return frontend.PerPort[i].TLS.Validation
		}
	}
	return frontend.Default.Validation
}

// resolveClients finds what the clients of an HTTPS listener are validated by
// (FrontendTLSValidation). Some CA certificates are enough; without any the listener
// is not served, because nobody would be let in who should be.
func (l *listener) resolveClients(r *reader, gw *gatewayv1.Gateway) {
	validation := validationFor(gw, l.port)
	if validation == nil {
		return
	}
	l.clients = &ClientValidation{CA: authoritiesPrefix + "frontend/" + strconv.Itoa(int(l.port)), Optional: validation.Mode == gatewayv1.AllowInsecureFallback}
	var first problem
	for _, ref := range validation.CACertificateRefs {
		key, p := resolveAuthority(r, gw, ref)
		if p.ok() {
			l.authorities = appendNew(l.authorities, key)
		} else if first.ok() {
			first = p
		}
	}
	if l.resolved.ok() {
		l.resolved = first
	}
	if len(l.authorities) == 0 {
		l.accepted = problem{string(gatewayv1.ListenerReasonNoValidCACertificate), "No caCertificateRef for the certificates of clients can be used: " + first.message}
	}
}

func resolveAuthority(r *reader, gw *gatewayv1.Gateway, ref gatewayv1.ObjectReference) (events.Key, problem) {
	kind := string(ref.Kind)
	key, ok := events.ReferenceKey(string(ref.Group), kind, or(ref.Namespace, gw.Namespace), string(ref.Name))
	if !ok {
		return key, problem{string(gatewayv1.ListenerReasonInvalidCACertificateKind), fmt.Sprintf(
			"caCertificateRefs names the %s %s of group %q; use a ConfigMap, a Secret or a ClusterTrustBundle.", kind, ref.Name, ref.Group)}
	}
	name := called(kind, key.Namespace, key.Name)
	if key.Namespace != "" && !r.granted(reference{
		fromGroup: gatewayv1.GroupName, fromKind: "Gateway", fromNamespace: gw.Namespace,
		toGroup: string(ref.Group), toKind: kind, to: key,
	}) {
		return key, problem{string(gatewayv1.ListenerReasonRefNotPermitted), fmt.Sprintf("The %s is in another namespace, and no ReferenceGrant there permits Gateways of %s to use it.", name, gw.Namespace)}
	}
	if _, why := r.authorities(key); why != "" {
		return key, problem{string(gatewayv1.ListenerReasonInvalidCACertificateRef), fmt.Sprintf("The %s %s.", name, why)}
	}
	return key, problem{}
}

// clientSecret is what the listeners of a port trust.
func (t *Tables) clientSecret(r *reader, id SecretID, port string) *Secret {
	g := r.gateway(id.Gateway)
	if g == nil {
		return nil
	}
	for _, l := range g.listeners {
		if l.clients != nil && strconv.Itoa(int(l.port)) == port && len(l.authorities) > 0 {
			return &Secret{ID: id, Key: l.authorities[0], Authorities: r.bundle(l.authorities)}
		}
	}
	return nil
}

// insecureClients says that clients are let in whose certificate is not valid.
func insecureClients(gw *gatewayv1.Gateway) []routing.Condition {
	if gw.Spec.TLS == nil || gw.Spec.TLS.Frontend == nil {
		return nil
	}
	frontend := gw.Spec.TLS.Frontend
	insecure := func(c gatewayv1.TLSConfig) bool {
		return c.Validation != nil && c.Validation.Mode == gatewayv1.AllowInsecureFallback
	}
	if !insecure(frontend.Default) && !slices.ContainsFunc(frontend.PerPort, func(p gatewayv1.TLSPortConfig) bool { return insecure(p.TLS) }) {
		return nil
	}
	return []routing.Condition{condition(string(gatewayv1.GatewayConditionInsecureFrontendValidationMode), true, string(gatewayv1.GatewayReasonConfigurationChanged),
		"Clients without a valid certificate are let in (AllowInsecureFallback); backends have to tell them apart.")}
}

// clientCertificate is the Secret that the Gateway presents to backends, "" for none
// (GatewayBackendTLS.clientCertificateRef).
func clientCertificate(r *reader, gw *gatewayv1.Gateway) (string, problem) {
	if gw.Spec.TLS == nil || gw.Spec.TLS.Backend == nil || gw.Spec.TLS.Backend.ClientCertificateRef == nil {
		return "", problem{}
	}
	name, p := resolveCertificate(r, gw, *gw.Spec.TLS.Backend.ClientCertificateRef)
	if p.ok() {
		return name, p
	}
	p.message = "tls.backend.clientCertificateRef: " + strings.ReplaceAll(p.message, "certificateRefs names", "it names")
	if p.reason == string(gatewayv1.ListenerReasonInvalidCertificateRef) {
		p.reason = string(gatewayv1.GatewayReasonInvalidClientCertificateRef)
	}
	return "", p
}
