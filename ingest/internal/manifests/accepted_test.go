package manifests_test

import (
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
)

// first is what a reader finds in a directory at first.
func first(t *testing.T, path string, recorded []manifests.Recorded, accepted []manifests.Accepted) (*dir, manifests.Changes) {
	t.Helper()
	r, err := manifests.Open(manifests.Config{Dir: path, Recorded: recorded, Accepted: accepted, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	d := &dir{t: t, path: path, reader: r}
	return d, d.next()
}

func recordedOf(changes manifests.Changes) []manifests.Recorded {
	var out []manifests.Recorded
	for _, o := range changes.Applied {
		out = append(out, manifests.Recorded{Key: o.Key, File: o.Source.File, Hash: o.Hash})
	}
	return out
}

// other and wrong are digests of nothing that is here.
var other, wrong = routing.DigestOf([]byte("other")), routing.DigestOf([]byte("wrong"))

const class = `---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: rutter}
spec: {controllerName: rutter.dev/gateway-controller}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {password: hunter2}
`

func TestAcceptedDocumentsAreNotValidatedAgain(t *testing.T) {
	path := t.TempDir()
	check(t, os.WriteFile(filepath.Join(path, "r.yaml"), []byte(route("r", 1)+"\n"+class), 0o644))
	r, changes := first(t, path, nil, nil)
	accepted := r.reader.Accepted()
	if len(changes.Applied) != 3 || len(accepted) != 1 || accepted[0].Key.Resource != events.HTTPRoutes {
		t.Fatalf("accepted %+v of %d objects, want the route alone", accepted, len(changes.Applied))
	}
	again, none := first(t, path, recordedOf(changes), accepted)
	if !none.Empty() || !slices.Equal(again.reader.Accepted(), accepted) {
		t.Errorf("after the restart %+v, accepted %+v", none, again.reader.Accepted())
	}

	// One that this build would refuse shows that it is not looked at.
	bad := "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {rules: 7}\n"
	check(t, os.WriteFile(filepath.Join(path, "r.yaml"), []byte(bad+class), 0o644))
	recorded := recordedOf(changes)
	if _, refused := first(t, path, recorded, accepted); len(refused.Problems) != 1 {
		t.Fatalf("problems %+v, want one", refused.Problems)
	}
	accepted[0].Text = sha256.Sum256([]byte(bad))
	if _, got := first(t, path, recorded, accepted); len(got.Problems) > 0 {
		t.Errorf("an accepted document was looked at: %+v", got)
	}
}

func TestAnAcceptedDocumentStillGivesItsObjectWhenThatIsNeeded(t *testing.T) {
	path := t.TempDir()
	check(t, os.WriteFile(filepath.Join(path, "a.yaml"), []byte(route("r", 1)), 0o644))
	r, changes := first(t, path, nil, nil)
	accepted, recorded := r.reader.Accepted(), recordedOf(changes)

	t.Run("because something else is recorded", func(t *testing.T) {
		stale := slices.Clone(recorded)
		stale[0].Hash = other
		if _, got := first(t, path, stale, accepted); len(got.Applied) != 1 || got.Applied[0].Object["spec"] == nil {
			t.Errorf("applied %+v", got.Applied)
		}
	})
	t.Run("because the document before it changed and went", func(t *testing.T) {
		check(t, os.WriteFile(filepath.Join(path, "b.yaml"), []byte(route("r", 1)), 0o644))
		r, got := first(t, path, recorded, accepted)
		if len(got.Applied)+len(got.Deleted) > 0 || len(got.Problems) != 1 {
			t.Fatalf("the second definition came to %+v", got)
		}
		check(t, os.WriteFile(filepath.Join(path, "a.yaml"), []byte(route("r", 2)), 0o644))
		changed := r.next()
		if len(changed.Applied) != 1 || changed.Applied[0].Source.File != "a.yaml" {
			t.Fatalf("the first definition changed to %+v", changed)
		}
		check(t, os.Remove(filepath.Join(path, "a.yaml")))
		back := r.next()
		if len(back.Applied) != 1 || back.Applied[0].Source.File != "b.yaml" || back.Applied[0].Hash != recorded[0].Hash || back.Applied[0].Object["spec"] == nil {
			t.Errorf("without the first definition there is %+v", back)
		}
	})
}

func TestWhatIsWronglyKnownToBeAcceptedIsRefused(t *testing.T) {
	path := t.TempDir()
	check(t, os.WriteFile(filepath.Join(path, "a.yaml"), []byte(route("a", 1)), 0o644))
	r, changes := first(t, path, nil, nil)
	accepted, recorded := r.reader.Accepted(), recordedOf(changes)
	accepted[0].Hash, recorded[0].Hash = wrong, wrong
	// It is in force under that hash, and nothing asks for it.
	if _, got := first(t, path, recorded, accepted); !got.Empty() {
		t.Errorf("came to %+v", got)
	}
	// Where what is in force differs, the document is decoded as if it were new.
	recorded[0].Hash = other
	if _, got := first(t, path, recorded, accepted); len(got.Applied) != 1 || got.Applied[0].Hash != changes.Applied[0].Hash {
		t.Errorf("came to %+v", got)
	}
}
