package route

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// minRSABits is the size below which an RSA key is weak (NIST SP 800-131A, section 3).
const minRSABits = 2048

// inspect finds what is wrong with the certificates of a listener that are served all
// the same: clients may still trust them, and no certificate is worse for all of them.
func (l *listener) inspect(r *reader) []problem {
	var warnings []problem
	var names []string
	for _, name := range l.certificates {
		key := secretKey(name)
		_, secret := get[events.Secret](r, key)
		if secret.KeyPair.NotAfter.IsZero() {
			return nil // recorded without what the certificate says
		}
		if p := expiry(secret.KeyPair, r.reached(key)); !p.ok() {
			warnings = append(warnings, problem{p.reason, fmt.Sprintf("The certificate in the Secret %s %s.", name, p.message)})
		}
		if bits := secret.KeyPair.RSABits; bits > 0 && bits < minRSABits {
			warnings = append(warnings, problem{routing.ReasonCertificateWeak, fmt.Sprintf("The RSA key in the Secret %s has %d bits; use %d or more.", name, bits, minRSABits)})
		}
		names = append(names, secret.KeyPair.DNSNames...)
	}
	if len(l.certificates) > 0 && !namesCover(names, l.hostname) {
		warnings = append(warnings, problem{routing.ReasonCertificateNames, fmt.Sprintf("No certificate covers the hostname %s; they are for: %s.", l.hostname, listed(names))})
	}
	return warnings
}

// expiry is what is wrong with the period of a certificate; nothing, while it is not
// known how far time has come.
func expiry(pair *events.KeyPair, reached time.Time) problem {
	switch {
	case reached.IsZero():
		return problem{}
	case reached.Before(pair.NotBefore):
		return problem{routing.ReasonCertificateNotYetValid, "is not valid before " + pair.NotBefore.Format(time.RFC3339)}
	case !reached.Before(pair.NotAfter):
		return problem{routing.ReasonCertificateExpired, "has expired at " + pair.NotAfter.Format(time.RFC3339)}
	}
	return problem{}
}

// namesCover tells whether one of the names of certificates is good for a hostname
// pattern. A wildcard in a name stands for one label (RFC 9525, section 6.3), one in a
// pattern for any number: it is covered by the same wildcard.
func namesCover(names []string, pattern string) bool {
	if pattern == anyHost {
		return true
	}
	return slices.ContainsFunc(names, func(name string) bool {
		if strings.EqualFold(name, pattern) {
			return true
		}
		_, parent, _ := strings.Cut(pattern, ".")
		return !strings.HasPrefix(pattern, "*.") && strings.EqualFold(name, "*."+parent)
	})
}

// warned is the condition that says all warnings, with the reason of the first; nil
// for none.
func warned(warnings []problem) []routing.Condition {
	if len(warnings) == 0 {
		return nil
	}
	var messages []string
	for _, w := range warnings {
		messages = append(messages, w.message)
	}
	return []routing.Condition{condition(routing.ConditionCertificateWarning, true, warnings[0].reason, strings.Join(messages, " "))}
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
