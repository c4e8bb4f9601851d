package serve

import (
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/xds-server/internal/store"
)

func TestAReasonHoldsNoDumpAndNoKey(t *testing.T) {
	dump := "goo.gle/debugstr  \nname: \"x\"\nprivate_key { inline_bytes: \"-----BEGIN PRIVATE KEY\" }\n: "
	for detail, want := range map[string]string{
		"Failed to load certificate":                  "Failed to load certificate",
		dump + "it is required":                       "it is required",
		"two: " + dump + "first; " + dump + "second":  "two: first; second",
		"no end: goo.gle/debugonly private_key":       "no end: ",
		"private_key { inline_bytes: \"x\" }: is bad": "Envoy refused the secret; its message is not recorded, because it holds the private key",
		strings.Repeat("ä", maxReason):                strings.Repeat("ä", maxReason/2),
	} {
		if got := reasonOf(store.SecretType, detail); got != want {
			t.Errorf("%.60q became %.60q, want %.60q", detail, got, want)
		}
	}
}
