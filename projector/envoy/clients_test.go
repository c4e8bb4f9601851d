package envoy

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/projector/route"
)

// ask sends a request over TLS, with a certificate of the client's if there is one.
func (p *proxy) ask(t *testing.T, port int32, certificate *tls.Certificate, headers ...string) (reply, error) {
	t.Helper()
	tr := p.transport(port)
	tr.TLSClientConfig = &tls.Config{ServerName: "a.test", InsecureSkipVerify: true} // the certificates of a test
	if certificate != nil {
		tr.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	r := request(t, "GET a.test/", headers...)
	r.URL.Scheme = "https"
	var failed error
	got := do(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		response, err := tr.RoundTrip(r)
		if err != nil {
			failed = err
			return &http.Response{Body: http.NoBody}, nil
		}
		return response, nil
	}), r)
	return got, failed
}

func TestClientsAreLetInByTheirCertificates(t *testing.T) {
	ours, theirs := identity(t, "spiffe://clients/anna", "anna.test"), identity(t, "", "mallory.test")
	chain := func(name string, port int32, clients *route.ClientValidation) route.Chain {
		return route.Chain{ID: fmt.Sprintf("https-%d-%s", port, name), Port: port, TLS: true, Certificates: []string{"default/a.test"}, Clients: clients}
	}
	w := newWorld(route.LayoutPlain)
	ca := w.trust("frontend", ours)
	w.gateways[testGateway].Chains = []route.Chain{
		chain("required", 443, &route.ClientValidation{CA: ca}),
		chain("optional", 444, &route.ClientValidation{CA: ca, Optional: true}),
		chain("none", 445, nil),
	}
	w.certificate(t, "a.test")
	w.cluster("web", route.HTTP1)
	for _, c := range w.gateways[testGateway].Chains {
		w.host(c.ID, "*", entry(prefix("/"), rule("web")))
	}
	sum := sha256.Sum256(ours.Certificate[0])
	said := []string{"Hash=" + hex.EncodeToString(sum[:]), `Subject=""`, "URI=spiffe://clients/anna", "DNS=anna.test"}
	eachLayout(t, w, newBackends(t, "web"), func(t *testing.T, p *proxy) {
		for _, c := range []struct {
			why         string
			port        int32
			certificate *tls.Certificate
			passes      bool
			said        []string
		}{
			{"required and valid", 443, &ours, true, said},
			{"required and of another authority", 443, &theirs, false, nil},
			{"required and missing", 443, nil, false, nil},
			{"optional and valid", 444, &ours, true, nil},
			{"optional and of another authority", 444, &theirs, true, nil},
			{"optional and missing", 444, nil, true, nil},
			{"not asked for", 445, &ours, true, nil},
		} {
			got, err := p.ask(t, c.port, c.certificate, "X-Forwarded-Client-Cert: Hash=forged")
			if passed := err == nil && got.status == 200; passed != c.passes {
				t.Errorf("%s: %d, %v", c.why, got.status, err)
			}
			if forwarded := got.echo.Header.Values("X-Forwarded-Client-Cert"); c.said == nil && len(forwarded) > 0 {
				t.Errorf("%s: the backend sees %s", c.why, forwarded)
			} else if c.said != nil && (len(forwarded) != 1 || !slices.Equal(strings.Split(forwarded[0], ";"), c.said)) {
				t.Errorf("%s: the backend sees %s, want %s", c.why, forwarded, c.said)
			}
		}
	})
}

func TestABackendIsShownTheCertificateOfTheGateway(t *testing.T) {
	w, b := newWorld(route.LayoutScoped, httpChain(80)), newBackends(t)
	backend := identity(t, "", "web.internal")
	ca := w.trust("ours", backend)
	w.certificate(t, "gateway.test")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.secrets[route.SecretID{Gateway: testGateway, Name: "default/gateway.test"}].CertificateChain)
	var entries []route.Entry
	for name, certificate := range map[string]string{"with": "default/gateway.test", "without": ""} {
		w.secure(name, route.HTTP1, ca, "web.internal")
		w.clusters[route.ClusterID{Gateway: testGateway, Name: name}].TLS.ClientCertificate = certificate
		b.startTLS(t, name, &tls.Config{Certificates: []tls.Certificate{backend}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
		entries = append(entries, entry(exactly("/"+name), rule(name)))
	}
	w.host("http-80", "a.test", entries...)
	p := serve(t, w, b)
	for path, status := range map[string]int{"/with": 200, "/without": 503} {
		if got := do(t, p.transport(80), request(t, "GET a.test"+path)); got.status != status {
			t.Errorf("%s: %d, want %d", path, got.status, status)
		}
	}
}
