package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// judge is what the command of `bisect --run` does in tests: one backend is good, another
// is bad, and 404 cannot be judged.
func judge() {
	status, body, err := get(context.Background(), http.DefaultTransport, os.Getenv("RUTTER_URL"), os.Getenv("RUTTER_HOST"))
	switch {
	case err != nil || os.Getenv("RUTTER_TEST_AS_JUDGE") == "ends":
		fmt.Println(err)
		os.Exit(130)
	case status == http.StatusNotFound:
		os.Exit(125)
	case strings.Contains(body, `"default/one/80"`):
		os.Exit(0)
	}
	os.Exit(1)
}

func TestBisectRunsACommandWhileARealEnvoyServesEachVersion(t *testing.T) {
	r := newRig(t)
	route := func(path, backend string) string {
		return fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: shop}, spec: {parentRefs: [{name: gw}], hostnames: [shop.example.com],
  rules: [{matches: [{path: {type: PathPrefix, value: %s}}], backendRefs: [{name: %s, port: 80}]}]}}`, path, backend)
	}
	r.save("gateway", r.gateway())
	r.save("backends", serviceManifest("one", 9)+"---\n"+serviceManifest("two", 9))
	r.save("shop", route("/", "one"))
	r.launch("--envoy", "none")
	r.shows("default/one/80")
	good := r.lastEvent()
	change := func(path, backend, shows string) uint64 {
		r.save("shop", route(path, backend))
		r.shows(shows)
		return r.lastEvent()
	}
	skipped := change("/a", "one", "prefix /a") // cannot be judged
	turn := change("/", "two", `"prefix /"`)
	last := change("/b", "two", "prefix /b")
	bad := change("/", "two", `"prefix /"`)
	r.stop()

	offset := gwtest.FreePort(t) - r.port
	bisect := func(as string, good, bad uint64) (int, string) {
		self, err := os.Executable()
		must(t, err)
		return r.command("bisect", "GET", fmt.Sprintf("http://shop.example.com:%d/", r.port), fmt.Sprintf("--good=%d", good), fmt.Sprintf("--bad=%d", bad),
			"--envoy", gwtest.Envoy(t), fmt.Sprintf("--port-offset=%d", offset), "--run", "RUTTER_TEST_AS_JUDGE="+as+" exec "+self)
	}
	code, out := bisect("judge", good, bad)
	for _, want := range []string{
		fmt.Sprintf("%d  ", turn), "updated httproute/default/shop", "It may also be one of the versions that were skipped", fmt.Sprintf("version %d: skipped", skipped),
		"Answer     default/two/80", "-        value: /a", fmt.Sprintf("version %d: good", good), fmt.Sprintf("version %d: bad", bad),
	} {
		if code != exitFine || !strings.Contains(out, want) {
			t.Errorf("exit code %d, without %q:\n%s", code, want, out)
		}
	}
	for _, wrong := range []struct {
		as        string
		good, bad uint64
		want      string
	}{
		{"ends", good, bad, "which ends the search"},
		{"judge", turn, bad, "the command says bad: give another --good"},
		{"judge", good, last, "it cannot judge it (exit code 125)"},
	} {
		if code, out := bisect(wrong.as, wrong.good, wrong.bad); code != exitFailed || !strings.Contains(out, wrong.want) {
			t.Errorf("exit code %d, without %q:\n%s", code, wrong.want, out)
		}
	}
}
