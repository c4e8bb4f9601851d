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
func validationFor(gw *gatewayv1.GatewaySpec, port int32) *gatewayv1.FrontendTLSValidation {
	if gw.TLS == nil || gw.TLS.Frontend == nil {
		return nil
	}
	frontend := gw.TLS.Frontend
	for i := range frontend.PerPort {
		if frontend.PerPort[i].Port == port {
			return frontend.PerPort[i].TLS.Validation
		}
	}
	return frontend.Default.Validation
}

// resolveClients finds what the clients of an HTTPS listener of a Gateway, or of one of
// its ListenerSets, are validated by (FrontendTLSValidation). Some CA certificates are
// enough; without any the listener is not served, because nobody would be let in who
// should be.
func (l *listener) resolveClients(r *reader, g *gateway) {
	validation := validationFor(g.spec, l.port)
	if validation == nil {
		return
	}
	l.clients = &ClientValidation{CA: authoritiesPrefix + "frontend/" + strconv.Itoa(int(l.port)), Optional: validation.Mode == gatewayv1.AllowInsecureFallback}
	authorities, first := g.authorities(r, validation)
	if l.resolved.ok() {
		l.resolved = first
	}
	if len(authorities) == 0 {
		l.accepted = problem{string(gatewayv1.ListenerReasonNoValidCACertificate), "No caCertificateRef for the certificates of clients can be used: " + first.message}
	}
}

// authorities are the usable objects by which clients are validated, and what is wrong
// with the first of the others.
func (g *gateway) authorities(r *reader, validation *gatewayv1.FrontendTLSValidation) (usable []events.Key, first problem) {
	for _, ref := range validation.CACertificateRefs {
		key, p := resolveAuthority(r, g.key, ref)
		if p.ok() {
			usable = appendNew(usable, key)
		} else if first.ok() {
			first = p
		}
	}
	return usable, first
}

func resolveAuthority(r *reader, gateway events.Key, ref gatewayv1.ObjectReference) (events.Key, problem) {
	kind := string(ref.Kind)
	key, ok := events.ReferenceKey(string(ref.Group), kind, or(ref.Namespace, gateway.Namespace), string(ref.Name))
	if !ok {
		return key, problem{string(gatewayv1.ListenerReasonInvalidCACertificateKind), fmt.Sprintf(
			"caCertificateRefs names the %s %s of group %q; use a ConfigMap, a Secret or a ClusterTrustBundle.", kind, ref.Name, ref.Group)}
	}
	name := called(kind, key.Namespace, key.Name)
	if key.Namespace == "" && ref.Namespace != nil {
		return key, problem{string(gatewayv1.ListenerReasonInvalidCACertificateRef), fmt.Sprintf("caCertificateRefs names a namespace for the %s, which is in none; remove it.", name)}
	}
	if key.Namespace != "" && !r.granted(reference{
		fromGroup: gatewayv1.GroupName, fromKind: "Gateway", fromNamespace: gateway.Namespace,
		toGroup: string(ref.Group), toKind: kind, to: key,
	}) {
		return key, problem{string(gatewayv1.ListenerReasonRefNotPermitted), fmt.Sprintf("The %s is in another namespace, and no ReferenceGrant there permits Gateways of %s to use it.", name, gateway.Namespace)}
	}
	if _, why := r.authorities(key); why != "" {
		return key, problem{string(gatewayv1.ListenerReasonInvalidCACertificateRef), fmt.Sprintf("The %s %s.", name, why)}
	}
	return key, problem{}
}

// clientSecret is what the listeners of a port trust.
func (t *Tables) clientSecret(r *reader, id SecretID, text string) *Secret {
	g := r.gateway(id.Gateway)
	port, err := strconv.ParseInt(text, 10, 32)
	if g == nil || err != nil {
		return nil
	}
	validation := validationFor(g.spec, int32(port))
	if validation == nil {
		return nil
	}
	authorities, _ := g.authorities(r, validation)
	if len(authorities) == 0 {
		return nil
	}
	return &Secret{ID: id, Key: authorities[0], Authorities: r.bundle(authorities)}
}

// insecureClients says that clients are let in whose certificate is not valid.
func (g *gateway) insecureClients() []routing.Condition {
	if g.spec.TLS == nil || g.spec.TLS.Frontend == nil {
		return nil
	}
	frontend := g.spec.TLS.Frontend
	insecure := func(c gatewayv1.TLSConfig) bool {
		return c.Validation != nil && c.Validation.Mode == gatewayv1.AllowInsecureFallback
	}
	if !insecure(frontend.Default) && !slices.ContainsFunc(frontend.PerPort, func(p gatewayv1.TLSPortConfig) bool { return insecure(p.TLS) }) {
		return nil
	}
	return []routing.Condition{condition(string(gatewayv1.GatewayConditionInsecureFrontendValidationMode), true, string(gatewayv1.GatewayReasonConfigurationChanged),
		"Clients without a valid certificate are let in (AllowInsecureFallback); backends have to tell them apart.")}
}

// resolveClientCertificate finds the Secret that the Gateway presents to backends, "" for
// none (GatewayBackendTLS.clientCertificateRef).
func (g *gateway) resolveClientCertificate(r *reader) (string, problem) {
	if g.spec.TLS == nil || g.spec.TLS.Backend == nil || g.spec.TLS.Backend.ClientCertificateRef == nil {
		return "", problem{}
	}
	name, p := resolveCertificate(r, g.key, *g.spec.TLS.Backend.ClientCertificateRef)
	if p.ok() {
		return name, p
	}
	p.message = "tls.backend.clientCertificateRef: " + strings.ReplaceAll(p.message, "certificateRefs names", "it names")
	if p.reason == string(gatewayv1.ListenerReasonInvalidCertificateRef) {
		p.reason = string(gatewayv1.GatewayReasonInvalidClientCertificateRef)
	}
	return "", p
}
