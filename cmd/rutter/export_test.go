package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// rutter runs a command as it is typed, with the paths of the rig.
func (r *rig) rutter(args ...string) (code int, output string) {
	r.t.Helper()
	var out bytes.Buffer
	code = run(r.t.Context(), environment{out: &out, err: &out, now: time.Now, open: openLog}, args)
	return code, out.String()
}

func (r *rig) path(name string) string { return filepath.Join(filepath.Dir(r.data), name) }

// recorded is a rig with a history in which keys are everywhere that keys can be: two
// certificates, one rotated, and one refused by Envoy. It returns the private keys.
func recorded(t *testing.T) (r *rig, keys [][]byte) {
	r = newRig(t)
	oneCert, oneKey := gwtest.Certificate(t, "one.example.com")
	twoCert, twoKey := gwtest.Certificate(t, "two.example.com")
	r.save("secrets", secret("one", oneCert, oneKey)+"---\n"+secret("two", twoCert, twoKey))
	r.save("gateway", class+fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: rutter
  listeners:
  - {name: one, port: %[1]d, protocol: HTTPS, hostname: one.example.com, tls: {certificateRefs: [{name: one}]}}
  - {name: two, port: %[1]d, protocol: HTTPS, hostname: two.example.com, tls: {certificateRefs: [{name: two}]}}
`, r.port))
	route := func(path string) string {
		return strings.Replace(routeManifest("web", path, r.port), "hostnames: [web.example.com]", "hostnames: [one.example.com, two.example.com]", 1)
	}
	r.save("route", route("/"))
	r.start()
	r.save("route", route("/shop"))
	r.shows("/shop")
	weak, weakKey := weakCertificate(t, "one.example.com")
	r.save("secrets", secret("one", weak, weakKey)+"---\n"+secret("two", twoCert, twoKey))
	r.shows("rutter.dev/Refused")
	newCert, newKey := gwtest.Certificate(t, "one.example.com")
	r.save("secrets", secret("one", newCert, newKey)+"---\n"+secret("two", twoCert, twoKey))
	r.eventually("the refusal is over", func() error {
		if _, out := r.command("show", "gw", "-o", "json"); strings.Contains(out, "rutter.dev/Refused") {
			return errors.New("it is not")
		}
		return nil
	})
	r.remove("route")
	r.eventually("the route is gone", func() error {
		if _, out := r.command("show", "gw"); strings.Contains(out, "/shop") {
			return errors.New("it is not")
		}
		return nil
	})
	r.stop()
	return r, [][]byte{oneKey, twoKey, weakKey, newKey}
}

// shows waits until the Gateway is shown with a text.
func (r *rig) shows(text string) {
	r.t.Helper()
	r.eventually("the Gateway has "+text, func() error {
		if _, out := r.command("show", "gw", "-o", "json"); !strings.Contains(out, text) {
			return errors.New("it has not")
		}
		return nil
	})
}

// questions are command lines, by reading command. Each reading command has one here.
func questions(last uint64, port int) map[string][]string {
	v := func(back uint64) string { return fmt.Sprint(last - back) }
	return map[string][]string{
		"log":     {"log", "log --all -o json", "log secret/default/one -o yaml", "log --since " + v(4) + " --until " + v(1)},
		"show":    {"show", "show gw", "show gw -o json --at " + v(2), "show -o yaml --at " + v(3), "show gw --host one.example.com --at " + v(2)},
		"diff":    {"diff gw --from " + v(2), "diff -o json --from " + v(3) + " --to " + v(1), "diff --from " + v(0)},
		"explain": {"explain GET https://one.example.com/shop", "explain GET https://one.example.com/shop/x --gateway gw -o json --at " + v(2)},
		"blame":   {"blame httproute/default/web --at " + v(3), "blame secret/default/two -o json"},
		"bisect":  {fmt.Sprintf("bisect GET https://one.example.com:%d/shop --good ", port) + v(2)},
		"plan":    {"plan --delete httproute/default/web --at " + v(3), "plan --delete secret/default/two -o json"},
		"trace":   {"trace httproute/default/web", "trace secret/default/one -o json"},
		"verify":  {"verify", "verify -o json"},
		"pin":     {"pin gw --dry-run --at " + v(2), "pin gw --dry-run -o json --at " + v(3)},
	}
}

func TestABundleAndWhatIsImportedOfItAnswerLikeTheLog(t *testing.T) {
	r, keys := recorded(t)
	file, dir := r.path("b.rutter"), r.path("imported")
	code, out := r.command("export", "-f", file)
	if code != exitFine || !strings.Contains(out, "exported to "+file) || !strings.Contains(out, "private keys left out of") {
		t.Fatalf("export exits with %d:\n%s", code, out)
	}
	if code, out := r.rutter("import", file, "--data-dir", dir); code != exitFine || !strings.Contains(out, "imported into "+dir) {
		t.Fatalf("import exits with %d:\n%s", code, out)
	}
	all := questions(r.lastEvent(), r.port)
	var told strings.Builder
	for _, c := range newRootCommand(&environment{}).Commands() {
		if c.Flags().Lookup("bundle") == nil || slices.Contains([]string{"export", "standalone", "unpin"}, c.Name()) {
			continue
		}
		if all[c.Name()] == nil {
			t.Errorf("rutter %s reads a log, and there is no question for it here", c.Name())
		}
		for _, question := range all[c.Name()] {
			code, want := r.rutter(append(strings.Fields(question), "--data-dir", r.data)...)
			if code == exitFailed {
				t.Errorf("rutter %s: %s", question, want)
			}
			told.WriteString(want)
			sources := [][]string{{"--bundle", file}, {"--data-dir", dir}}
			if c.Name() == "trace" { // when a log took something is what an import changes
				sources = sources[:1]
			}
			for _, source := range sources {
				if gotCode, got := r.rutter(append(strings.Fields(question), source...)...); gotCode != code || got != want {
					t.Errorf("rutter %s %v exits with %d, and with %d on the log:\n%s\non the log:\n%s", question, source, gotCode, code, got, want)
				}
			}
		}
	}
	holdsNoKey(t, file, keys, r.sealedKeys())
	open := laidOpen(t, []byte(told.String()))
	for _, key := range keys {
		if holdsKey(t, open, key) {
			t.Error("a command prints a private key")
		}
	}
	for key, of := range r.sealedKeys() {
		if holds(open, sealedPart(key)) {
			t.Errorf("a command prints a sealed private key of %s", of)
		}
	}
	r.data = dir
	r.holdsNoPrivateKey(keys...)
	// Standalone goes on with what was imported: it seals the keys of the manifests anew.
	before := r.published()
	r.start()
	r.isAsPublished(before)
	r.verified()
}

// lastEvent is the last sequence of EVENTS.
func (r *rig) lastEvent() uint64 {
	r.t.Helper()
	log, err := openLog(r.t.Context(), source{dataDir: r.data})
	must(r.t, err)
	defer log.Close()
	s, err := log.Stream(r.t.Context(), events.StreamConfig{Name: events.StreamEvents})
	must(r.t, err)
	info, err := s.Info(r.t.Context())
	must(r.t, err)
	return info.Last
}

// sealedKeys are all sealed keys in the log: of events, verdicts and versions.
func (r *rig) sealedKeys() map[string]events.Key {
	r.t.Helper()
	sealed := map[string]events.Key{} // by what is sealed
	log, err := openLog(r.t.Context(), source{dataDir: r.data})
	must(r.t, err)
	defer log.Close()
	kinds := map[string]int{}
	take := func(kind string, key []byte, of events.Key) {
		if len(key) > 0 {
			sealed[string(key)] = of
			kinds[kind]++
		}
	}
	each := func(name string, take func(events.Message)) {
		s, err := log.Stream(r.t.Context(), events.StreamConfig{Name: name})
		must(r.t, err)
		info, err := s.Info(r.t.Context())
		must(r.t, err)
		for i := info.First; i <= info.Last; i++ {
			m, err := s.Get(r.t.Context(), i)
			must(r.t, err)
			take(m)
		}
	}
	each(events.StreamEvents, func(m events.Message) {
		e, err := events.Decode(m)
		must(r.t, err)
		var s events.Secret
		var v events.Verdict
		if json.Unmarshal(e.Data, &s) == nil && s.KeyPair != nil {
			take("events", s.KeyPair.SealedKey, e.Key)
		}
		if json.Unmarshal(e.Data, &v) == nil {
			take("verdicts", v.LastSealed, e.Key)
		}
	})
	var parts routing.Assembler
	each(events.StreamSnapshots, func(m events.Message) {
		s, err := parts.Add(m)
		must(r.t, err)
		if s == nil {
			return
		}
		for _, g := range s.Gateways {
			for _, c := range g.Changed {
				take("versions", c.Sealed, c.Origin)
			}
		}
	})
	each(events.StreamReceipts, func(m events.Message) {
		if receipt, err := routing.DecodeReceipt(m); err == nil {
			for _, e := range receipt.Envoys {
				for _, f := range e.Refused {
					take("receipts", f.LastSealed, f.Origin)
				}
			}
		}
	})
	for _, kind := range []string{"events", "verdicts", "versions", "receipts"} {
		if kinds[kind] == 0 {
			r.t.Errorf("the log has no sealed key in its %s, so that this test is blind there", kind)
		}
	}
	return sealed
}

// linesOf are those of a bundle.
func linesOf(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	must(t, err)
	return string(unpacked(t, content))
}

// holdsNoKey searches a bundle for private keys, in clear and sealed.
func holdsNoKey(t *testing.T, file string, keys [][]byte, sealed map[string]events.Key) {
	t.Helper()
	content, err := os.ReadFile(file)
	must(t, err)
	open := laidOpen(t, content)
	for _, key := range keys {
		if holdsKey(t, open, key) {
			t.Errorf("%s holds a private key in clear", file)
		}
	}
	for key, of := range sealed {
		if holds(open, sealedPart(key)) {
			t.Errorf("%s holds a sealed private key of %s", file, of)
		}
	}
	if holds(open, []byte("age-encryption.org/v1")) {
		t.Errorf("%s holds something that is sealed", file)
	}
}

// sealedPart is what of a sealed key nothing else has: its end, which is the key.
func sealedPart(key string) []byte { return []byte(key[len(key)-48:]) }

func TestAKeyLeavesOnlyWhenItIsAskedForByName(t *testing.T) {
	r, keys := recorded(t)
	file := r.path("b.rutter")
	if code, out := r.command("export", "-f", file, "--with-key", "default/two"); code != exitFine {
		t.Fatal(out)
	}
	content, err := os.ReadFile(file)
	must(t, err)
	open := laidOpen(t, content)
	for key, of := range r.sealedKeys() {
		if got, want := holds(open, sealedPart(key)), of.Name == "two"; got != want {
			t.Errorf("a sealed key of %s is in the bundle: %v", of, got)
		}
	}
	for _, key := range keys {
		if holdsKey(t, open, key) {
			t.Error("a key is there in clear")
		}
	}
	if code, out := r.rutter("verify", "--bundle", file); code != exitFine {
		t.Errorf("verify: %s", out)
	}
}

// A range begins with the state that it needs: what was at its beginning, and what it
// folds to, is told as the whole log tells it.
func TestARangeAnswersForItsTime(t *testing.T) {
	r, keys := recorded(t)
	last := r.lastEvent()
	file, again, dir := r.path("b.rutter"), r.path("again.rutter"), r.path("imported")
	since, until := fmt.Sprint(last-3), fmt.Sprint(last-1)
	if code, out := r.command("export", "-f", file, "--since", since, "--until", until); code != exitFine {
		t.Fatal(out)
	}
	if code, out := r.rutter("import", file, "--data-dir", dir); code != exitFine {
		t.Fatal(out)
	}
	for _, question := range []string{
		"show gw -o json --at " + since, "show -o json --at " + until, "diff -o json --from " + since + " --to " + until,
		"explain GET https://one.example.com/shop -o json --at " + until,
	} {
		code, want := r.rutter(append(strings.Fields(question), "--data-dir", r.data)...)
		for _, source := range [][]string{{"--bundle", file}, {"--data-dir", dir}} {
			if gotCode, got := r.rutter(append(strings.Fields(question), source...)...); gotCode != code || got != want {
				t.Errorf("rutter %s %v exits with %d, and with %d on the log:\n%s\non the log:\n%s", question, source, gotCode, code, got, want)
			}
		}
	}
	for _, source := range [][]string{{"--bundle", file}, {"--data-dir", dir}} {
		if code, out := r.rutter(append([]string{"verify"}, source...)...); code != exitFine || strings.HasPrefix(out, "0 versions") {
			t.Errorf("verify %v exits with %d: %s", source, code, out)
		}
	}
	code, out := r.rutter("show", "--at", fmt.Sprint(last-4), "--bundle", file)
	if want := fmt.Sprintf("(version %s); it knows nothing of the time before: give a later one\n", since); code != exitFailed || !strings.HasSuffix(out, want) {
		t.Errorf("ahead of the range show exits with %d: %s", code, out)
	}
	holdsNoKey(t, file, keys, r.sealedKeys())
	// What is exported of an export is the same.
	if code, out := r.rutter("export", "--bundle", file, "-f", again); code != exitFine {
		t.Fatal(out)
	}
	if a, b := messagesOf(t, file), messagesOf(t, again); a != b {
		t.Errorf("exported twice:\n%s\nonce:\n%s", b, a)
	}
}

// messagesOf is the lines of a bundle but for those about it.
func messagesOf(t *testing.T, file string) string {
	t.Helper()
	var kept []string
	for line := range strings.Lines(linesOf(t, file)) {
		if !strings.Contains(line, "dev.rutter.bundle.header") && !strings.Contains(line, "dev.rutter.bundle.trailer") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func TestWhatCannotBeExportedOrImportedIsSaidInOneLine(t *testing.T) {
	r := newRig(t)
	r.save("gateway", r.gateway())
	r.start()
	r.stop()
	file := r.path("b.rutter")
	if code, out := r.command("export", "-f", file); code != exitFine {
		t.Fatal(out)
	}
	whole, err := os.ReadFile(file)
	must(t, err)
	cut, edited := r.path("cut.rutter"), r.path("edited.rutter")
	must(t, os.WriteFile(cut, whole[:len(whole)-7], 0o600))
	whole[len(whole)/2] ^= 1
	must(t, os.WriteFile(edited, whole, 0o600))
	for command, want := range map[string]string{
		"export --data-dir " + r.data:                                 "say where to write: -f FILE, or -f - for standard output",
		"export -f x":                                                 "say where the log is: --data-dir DIR, --nats-url URL or --bundle FILE, one of them",
		"export -f x --with-key one --bundle " + file:                 `--with-key "one": name a Secret as NAMESPACE/NAME`,
		"export -f x --since 2030 --bundle " + file:                   "--since: there is no version 2030 yet: the log ends at",
		"export -f x --since 30d --bundle " + file:                    "--since: the log begins at",
		"export -f " + r.path("no/where") + " --bundle " + file:       "no such file or directory",
		"import " + file:                                              "say where to: --data-dir DIR, a directory that does not exist yet",
		"import --data-dir x":                                         "import takes one file",
		"import " + file + " --data-dir " + r.data:                    "it is not empty: name one that does not exist yet",
		"import " + cut + " --data-dir " + r.path("new"):              "bundle " + cut + ": it is cut off, or was packed anew by another program: copy it again, or export it again",
		"import " + r.path("none") + " --data-dir " + r.path("new"):   "no such file or directory",
		"show --bundle " + edited:                                     "bundle " + edited + ": it was altered since it was written, its content does not match its digest: copy it again, or export it again",
		"log -f --bundle " + file:                                     "-f waits for what happens from now on, and nothing is ever added to a bundle: leave it out",
		"show --bundle " + file + " --nats-url nats://127.0.0.1:4222": "one of them",
	} {
		code, out := r.rutter(strings.Fields(command)...)
		if code != exitFailed || !strings.HasPrefix(out, "rutter: ") || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
			t.Errorf("rutter %s exits with %d: %q, want %q", command, code, out, want)
		}
	}
	if left, _ := filepath.Glob(r.path("*new*")); len(left) > 0 {
		t.Errorf("an import that failed leaves %v", left)
	}
}
