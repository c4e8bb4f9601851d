package manifests

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// digest is the SHA-256 of a document.
func (t text) digest() routing.Digest {
	h := sha256.New()
	if t.json {
		h.Write([]byte("json\n")) // no YAML that is accepted begins like that
	}
	h.Write(t.data)
	return routing.Digest(h.Sum(nil))
}

// isRemembered tells whether a document is: those are of kinds whose objects are seldom asked for. A
// GatewayClass is, by the rules about its updates; and of a Secret nothing is kept
// from which its content could be guessed.
func isRemembered(key events.Key) bool {
	return key.Resource != events.GatewayClasses && key.Resource != events.Secrets
}

// acceptedBefore is the verdict on a document that was accepted before and whose
// object is in force; nil if it has to be decoded.
func (s *set) acceptedBefore(t text, digest routing.Digest) []*verdict {
	a, ok := s.accepted[digest]
	if !ok || t.err != nil || !isRemembered(a.Key) || !s.known(a.Key) || s.objects[a.Key].hash != a.Hash {
		return nil
	}
	return []*verdict{{key: a.Key, hash: a.Hash}}
}

// acceptedNow are the documents that are accepted and are one object each.
func (s *set) acceptedNow() []Accepted {
	var out []Accepted
	for _, f := range s.files {
		for _, doc := range f.documents {
			if len(doc.verdicts) != 1 || !doc.verdicts[0].accepted() || !isRemembered(doc.verdicts[0].key) {
				continue
			}
			out = append(out, Accepted{Text: doc.digest, Key: doc.verdicts[0].key, Hash: doc.verdicts[0].hash})
		}
	}
	slices.SortFunc(out, func(a, b Accepted) int { return bytes.Compare(a.Text[:], b.Text[:]) })
	return slices.CompactFunc(out, func(a, b Accepted) bool { return a.Text == b.Text })
}
