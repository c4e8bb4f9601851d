package conditions

import (
	"strings"
	"unicode/utf8"
)

// What the API server accepts: the validation of metav1.Condition, and of the
// lists in the CRDs of the Gateway API.
const (
	maxConditions = 8 // of one entry
	maxParents    = 32
	maxAncestors  = 16
	maxListeners  = 64
	maxAddresses  = 16
	maxFeatures   = 64
	maxMessage    = 32768
	maxReasonName = 1024
)

// noReason stands for a reason of which nothing legal is left.
const noReason = "Unknown"

// message is the longest part of a text that a condition may have.
func message(text string) string {
	const cut = " …"
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage-len(cut)], "") + cut
}

// reason is what is legal of a name: ^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$.
func reason(name string) string {
	legal := func(r rune) bool {
		return r < utf8.RuneSelf && (letter(r) || r >= '0' && r <= '9' || strings.ContainsRune("_,:", r))
	}
	name = strings.Map(func(r rune) rune {
		if legal(r) {
			return r
		}
		return -1
	}, name)
	name = strings.TrimLeftFunc(name, func(r rune) bool { return !letter(r) })
	name = strings.TrimRight(name[:min(len(name), maxReasonName)], ",:")
	if name == "" {
		return noReason
	}
	return name
}

func letter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// room cuts a list to the most that it may have, and counts what that leaves out.
func room[T any](r *result, list []T, most int) []T {
	r.Omitted += max(0, len(list)-most)
	return list[:min(len(list), most)]
}
