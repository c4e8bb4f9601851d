package parameters

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
)

// Tenancy is how the tenants of a class are kept apart; nil is not at all.
type Tenancy struct {
	Mode    v1alpha1.TenancyMode
	Label   string
	Allowed []string // namespaces that are no tenant's
	Claim   string   // of the tokens
	Tokens  *Tokens
}

func newTenancy(spec *v1alpha1.Tenancy, keys string) (t *Tenancy, why string) {
	if spec == nil {
		return nil, ""
	}
	t = &Tenancy{Mode: spec.Mode, Label: spec.TenantIDLabel, Allowed: spec.AllowedNamespaces}
	switch {
	case t.Mode == v1alpha1.TenancyNamespace:
	case t.Mode == v1alpha1.TenancyLabelSelector && t.Label == "":
		return nil, "tenancy.tenantIDLabel is empty; name the label of namespaces whose value is the tenant."
	case t.Mode == v1alpha1.TenancyLabelSelector:
	case t.Mode == v1alpha1.TenancyAuthHeader:
		if t.Tokens, why = newTokens(spec.AuthHeader, keys); why != "" {
			return nil, why
		}
		t.Claim = cmp.Or(spec.AuthHeader.Claim, "tenant")
	default:
		return nil, fmt.Sprintf("tenancy.mode is %q; use %s, %s or %s.", t.Mode, v1alpha1.TenancyNamespace, v1alpha1.TenancyLabelSelector, v1alpha1.TenancyAuthHeader)
	}
	return t, ""
}

// Tokens is what requests must carry on a Gateway: a JWT of an issuer.
type Tokens struct {
	// Header has the token, with "Bearer " ahead of it in Authorization.
	Header    string
	Issuer    string
	Audiences []string
	Forward   bool // to the backend
	// Keys is a JSON Web Key Set, or URL where there is one.
	Keys, URL string
}

// newTokens takes the keys that are there, or where they are.
func newTokens(spec *v1alpha1.AuthHeader, keys string) (out *Tokens, why string) {
	if spec == nil {
		return nil, "tenancy.authHeader is missing."
	}
	out = &Tokens{Header: spec.Header, Issuer: spec.Issuer, Audiences: spec.Audiences, Forward: spec.Forward}
	if out.Header == "" {
		out.Header = "Authorization"
	}
	ref, from := spec.JWKS.ConfigMapRef, spec.JWKS.URL
	switch {
	case ref != nil:
		if why := unusableKeys(keys); why != "" {
			return nil, fmt.Sprintf("jwks.json of the ConfigMap %s/%s %s.", ref.Namespace, ref.Name, why)
		}
		out.Keys = keys
	case from != nil:
		at, err := url.Parse(*from)
		if err != nil || at.Hostname() == "" || at.Scheme != "http" && at.Scheme != "https" || !isPort(at.Port()) {
			return nil, fmt.Sprintf("tenancy.authHeader.jwks.url is %q; use http://host/path or https://host/path.", *from)
		}
		out.URL = *from
	default:
		return nil, "tenancy.authHeader.jwks names neither a ConfigMap nor a URL."
	}
	return out, ""
}

// isPort tells whether a text, "" for none, is a port that a server can have.
func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil && port > 0
}

// unusableKeys is why a key set cannot be used. A ConfigMap is public, and so is the
// log: one with a secret in it is refused.
func unusableKeys(text string) string {
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if text == "" {
		return "is missing"
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return fmt.Sprintf("is no JSON Web Key Set: %v", err)
	}
	usable := 0
	for _, key := range set.Keys {
		kind, _ := key["kty"].(string)
		if _, private := key["d"]; private || kind == "oct" {
			return "has a secret key in it; publish public keys only"
		}
		fields := map[string][]string{"RSA": {"n", "e"}, "EC": {"x", "y"}, "OKP": {"x"}}[kind]
		if len(fields) > 0 && !slices.ContainsFunc(fields, func(name string) bool { return !isBase64(key[name]) }) {
			usable++
		}
	}
	if usable == 0 {
		return "has no key that can be used (RSA, EC or OKP)"
	}
	return ""
}

func isBase64(v any) bool {
	text, ok := v.(string)
	_, err := base64.RawURLEncoding.DecodeString(text)
	return ok && text != "" && err == nil
}
