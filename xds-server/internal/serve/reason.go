package serve

import (
	"strings"

	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

// reasonOf is an error detail of Envoy's in words that may be recorded. Where a
// validation fails, Envoy puts a dump of the whole message before the reason: it
// helps nobody, and of a secret it holds the private key (invariant 6).
func reasonOf(typ, detail string) string {
	const dump, end = "goo.gle/debug", "\n: "
	for {
		start := strings.Index(detail, dump)
		if start < 0 {
			break
		}
		_, rest, _ := strings.Cut(detail[start:], end)
		detail = detail[:start] + rest
	}
	if typ == store.SecretType && (strings.Contains(detail, "private_key") || strings.Contains(detail, "PRIVATE KEY")) {
		return "Envoy refused the secret; its message is not recorded, because it holds the private key"
	}
	return strings.ToValidUTF8(detail[:min(len(detail), maxReason)], "")
}
