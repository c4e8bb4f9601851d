package manifests_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
)

// settle is short, so that tests of deletions are fast.
const settle = 60 * time.Millisecond

// route is a manifest of about 1.5 KB, with the given weight to tell versions apart.
func route(name string, weight int) string {
	var rules strings.Builder
	for _, p := range []string{"/", "/api", "/static", "/login"} {
		fmt.Fprintf(&rules, `
  - matches:
    - path: {type: PathPrefix, value: %s}
      headers:
      - {name: x-tenant, value: %s}
    - path: {type: Exact, value: %s}
      method: GET
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set: [{name: x-rule, value: %q}]
    timeouts: {request: 10s}
    backendRefs:
    - {name: web, port: 8080, weight: %d}
    - {name: canary, port: 8080, weight: 1}`, p, name, p, p, weight)
	}
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: %s
spec:
  parentRefs: [{name: gw}]
  hostnames: [%s.example.com]
  rules:%s
`, name, name, rules.String())
}

const brokenRoute = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: %s}\nspec: {rules: 1}\n"

// dir is a watched directory and what is known of it.
type dir struct {
	t      *testing.T
	path   string
	reader *manifests.Reader
}

func open(t *testing.T, path string, recorded ...manifests.Recorded) *dir {
	t.Helper()
	reader, err := manifests.Open(manifests.Config{
		Dir: path, Settle: settle, Recorded: recorded, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	return &dir{t: t, path: path, reader: reader}
}

func (d *dir) join(name string) string { return filepath.Join(d.path, name) }

func (d *dir) write(name, content string) {
	d.t.Helper()
	check(d.t, os.MkdirAll(filepath.Dir(d.join(name)), 0o755))
	check(d.t, os.WriteFile(d.join(name), []byte(content), 0o644))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// next waits for changes.
func (d *dir) next() manifests.Changes {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	changes, err := d.reader.Next(ctx)
	check(d.t, err)
	return changes
}

// expect waits for changes and compares them with lines like "+httproutes/default/a",
// "-httproutes/default/a", "!a.yaml:1 (document 1)", "?a.yaml:1 (document 1)".
func (d *dir) expect(want ...string) manifests.Changes {
	d.t.Helper()
	changes := d.next()
	if got := lines(changes); !slices.Equal(got, want) {
		d.t.Fatalf("changes are\n\t%s\nwant\n\t%s\n%+v", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"), changes.Problems)
	}
	return changes
}

func lines(c manifests.Changes) []string {
	var out []string
	for _, o := range c.Applied {
		out = append(out, "+"+o.Key.String())
	}
	for _, k := range c.Deleted {
		out = append(out, "-"+k.String())
	}
	for _, p := range c.Problems {
		out = append(out, "!"+p.Source.String())
	}
	for _, n := range c.Notices {
		out = append(out, "?"+n.Source.String())
	}
	return out
}

// quiet checks that nothing is reported for longer than an object may be missing.
func (d *dir) quiet() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 2*settle)
	defer cancel()
	if changes, err := d.reader.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		d.t.Fatalf("expected no changes, got %v %+v, %v", lines(changes), changes.Problems, err)
	}
}

// weight is how a test tells versions of a route apart.
func weight(t *testing.T, o manifests.Object) int64 {
	t.Helper()
	rule := o.Object["spec"].(map[string]any)["rules"].([]any)[0].(map[string]any)
	return rule["backendRefs"].([]any)[0].(map[string]any)["weight"].(int64)
}

func TestFirstNextHasEverythingInOrder(t *testing.T) {
	d := &dir{t: t, path: t.TempDir()}
	d.write("z/service.json", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}}`)
	d.write("b.yaml", route("b", 1))
	d.write("a.yml", route("a", 1)+"---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n---\nkind: Deployment\napiVersion: apps/v1\n")
	d.write("broken.yaml", fmt.Sprintf(brokenRoute, "c"))
	d.write(".hidden.yaml", route("hidden", 1))
	d.write(".git/x.yaml", route("hidden", 1))
	d.write("b.yaml~", route("backup", 1))
	d.write("README.md", "no manifest")
	d = open(t, d.path)
	changes := d.expect("+secrets/default/s", "+services/default/web", "+httproutes/default/a", "+httproutes/default/b",
		"!broken.yaml:1 (document 1)", "?a.yml:70 (document 3)")
	if p := changes.Problems[0]; p.Key != (events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "c"}) || p.Message == "" {
		t.Errorf("problem %+v", p)
	}
	d.quiet()
	if got := d.reader.Problems(); len(got) != 1 {
		t.Errorf("problems %+v", got)
	}
}

func TestWhatIsLargeComesInPartsInOrder(t *testing.T) {
	d := &dir{t: t, path: t.TempDir()}
	var services, routes strings.Builder
	for i := range 700 {
		fmt.Fprintf(&services, "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%03d}\nspec: {ports: [{port: 80}]}\n", i)
		fmt.Fprintf(&routes, "---\n%s", route(fmt.Sprintf("r%03d", i), 1))
	}
	d.write("a.yaml", routes.String())
	d.write("b.yaml", services.String())
	d.write("broken.yaml", fmt.Sprintf(brokenRoute, "c"))
	d = open(t, d.path)
	var got, want []string
	for more := true; more; {
		part := d.next()
		if more = part.More; len(part.Applied) > 500 || more && len(part.Problems) > 0 {
			t.Errorf("a part has %d objects, and problems %+v", len(part.Applied), part.Problems)
		}
		for _, o := range part.Applied {
			if got = append(got, o.Key.Name); o.Object["spec"] == nil {
				t.Fatalf("%s has no content", o.Key)
			}
		}
		if !more && (len(part.Problems) != 1 || len(d.reader.Problems()) != 1) {
			t.Errorf("problems %+v", part.Problems)
		}
	}
	for _, prefix := range []string{"s", "r"} {
		for i := range 700 {
			want = append(want, fmt.Sprintf("%s%03d", prefix, i))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d objects came in the order %v", len(got), got)
	}
	d.quiet()
}

func TestEmptyDirectoryIsReportedAtOnce(t *testing.T) {
	open(t, t.TempDir()).expect()
}

func TestMissingDirectoryIsAnError(t *testing.T) {
	_, err := manifests.Open(manifests.Config{Dir: filepath.Join(t.TempDir(), "no"), Logger: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestEditorsThatReplaceFilesCauseOneChange(t *testing.T) {
	for name, save := range map[string]func(d *dir, content string){
		"vim: rename to backup, write, remove backup": func(d *dir, content string) {
			check(d.t, os.WriteFile(d.join("4913"), nil, 0o644))
			check(d.t, os.Remove(d.join("4913")))
			check(d.t, os.Rename(d.join("a.yaml"), d.join("a.yaml~")))
			d.write("a.yaml", content)
			check(d.t, os.Remove(d.join("a.yaml~")))
		},
		"sed -i, emacs: write beside, rename over": func(d *dir, content string) {
			d.write("sedX1Y2", content)
			check(d.t, os.Rename(d.join("sedX1Y2"), d.join("a.yaml")))
		},
		"remove, then write": func(d *dir, content string) {
			check(d.t, os.Remove(d.join("a.yaml")))
			d.write("a.yaml", content)
		},
		"truncate and write": func(d *dir, content string) { d.write("a.yaml", content) },
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, t.TempDir())
			d.write("a.yaml", route("a", 1))
			d.expect("+httproutes/default/a")
			for i := range 5 {
				save(d, route("a", 2+i))
				if got := weight(t, d.expect("+httproutes/default/a").Applied[0]); got != int64(2+i) {
					t.Fatalf("save %d: weight %d", i, got)
				}
			}
			d.quiet()
		})
	}
}

// A prefix of a manifest is often a valid manifest.
func TestHalfWrittenFileIsNeverRead(t *testing.T) {
	d := open(t, t.TempDir())
	first, second := route("a", 1), "---\n"+route("b", 1)
	d.write("f.yaml", first+second)
	d.expect("+httproutes/default/a", "+httproutes/default/b")

	f, err := os.OpenFile(d.join("f.yaml"), os.O_WRONLY|os.O_TRUNC, 0o644)
	check(t, err)
	d.quiet() // longer than the settle time
	_, err = f.WriteString(route("a", 2))
	check(t, err)
	d.quiet()
	_, err = f.WriteString(second)
	check(t, err)
	check(t, f.Close())
	if got := weight(t, d.expect("+httproutes/default/a").Applied[0]); got != 2 {
		t.Errorf("weight %d", got)
	}
	d.quiet()
}

func TestFileThatIsBeingWrittenOnStartIsReportedAndThenRead(t *testing.T) {
	path := t.TempDir()
	f, err := os.Create(filepath.Join(path, "a.yaml"))
	check(t, err)
	recorded := manifests.Recorded{Key: events.Key{Resource: events.HTTPRoutes, Namespace: "default", Name: "a"}, File: "a.yaml"}
	d := open(t, path, recorded)
	d.expect("!a.yaml")
	d.quiet()
	_, err = f.WriteString(route("a", 1))
	check(t, err)
	check(t, f.Close())
	d.expect("+httproutes/default/a")
	if got := d.reader.Problems(); len(got) != 0 {
		t.Errorf("problems %+v", got)
	}
}

func TestVanishedFileAndDocumentAreDeletions(t *testing.T) {
	d := open(t, t.TempDir())
	d.write("a.yaml", route("a", 1)+"---\n"+route("b", 1)+"---\n"+route("c", 1))
	d.write("d.yaml", route("d", 1))
	d.expect("+httproutes/default/a", "+httproutes/default/b", "+httproutes/default/c", "+httproutes/default/d")
	d.write("a.yaml", route("a", 1)+"---\n"+route("c", 1))
	began := time.Now()
	d.expect("-httproutes/default/b")
	if waited := time.Since(began); waited < settle {
		t.Errorf("deleted after %v already", waited)
	}
	check(t, os.Remove(d.join("d.yaml")))
	d.expect("-httproutes/default/d")
}

func TestChangesDoNotWaitForDeletions(t *testing.T) {
	d := open(t, t.TempDir())
	d.write("a.yaml", route("a", 1))
	d.write("b.yaml", route("b", 1))
	d.expect("+httproutes/default/a", "+httproutes/default/b")
	check(t, os.Remove(d.join("a.yaml")))
	d.write("b.yaml", route("b", 2))
	d.expect("+httproutes/default/b")
	d.expect("-httproutes/default/a")
}

func TestObjectThatMovesToAnotherFileStays(t *testing.T) {
	d := open(t, t.TempDir())
	d.write("a.yaml", route("a", 1))
	d.write("old/x.yaml", route("x", 1))
	d.expect("+httproutes/default/a", "+httproutes/default/x")

	check(t, os.Mkdir(d.join("sub"), 0o755))
	check(t, os.Rename(d.join("a.yaml"), d.join("sub/b.yaml")))
	d.quiet()
	check(t, os.Rename(d.join("old"), d.join("new"))) // a whole directory
	d.quiet()
	d.write("new/x.yaml", route("x", 2))
	d.expect("+httproutes/default/x")
	d.write("sub/b.yaml", route("a", 2))
	d.expect("+httproutes/default/a")
	check(t, os.RemoveAll(d.join("new")))
	d.expect("-httproutes/default/x")
}

func TestNewSubdirectoriesAreRead(t *testing.T) {
	d := open(t, t.TempDir())
	d.expect()
	d.write("one/two/three/a.yaml", route("a", 1))
	d.expect("+httproutes/default/a")
	d.write("one/two/b.yaml", route("b", 1))
	d.expect("+httproutes/default/b")
}
