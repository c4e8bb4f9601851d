package route

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/rutter-gateway/rutter/api/v1alpha1"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/fold"
)

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

// Tenant is whose requests an entry is for: the claim of the token is ID, or has it.
type Tenant struct{ Claim, ID string }

// newTokens resolves where the keys are.
func newTokens(r *reader, spec *v1alpha1.AuthHeader) (out *Tokens, why string) {
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
		key := events.Key{Resource: events.ConfigMaps, Namespace: ref.Namespace, Name: ref.Name}
		name := called("ConfigMap", ref.Namespace, ref.Name)
		_, o := get[fold.Authorities](r, key)
		if o == nil {
			return nil, fmt.Sprintf("the %s does not exist.", name)
		}
		if why := unusableKeys(o.JWKS); why != "" {
			return nil, fmt.Sprintf("jwks.json of the %s %s.", name, why)
		}
		out.Keys = o.JWKS
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
