package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/internal/gwtest"
)

// The incident on a laptop: of a bundle, in which there is no key and no backend, a
// real Envoy serves what was served then.
func TestThePastIsServedWithStandIns(t *testing.T) {
	r, _ := recorded(t)
	file := r.path("b.rutter")
	if code, out := r.command("export", "-f", file); code != exitFine {
		t.Fatal(out)
	}
	moved := gwtest.FreePort(t)
	offset := moved - r.port
	last := r.lastEvent()
	then := last - 1 // while the route and both certificates were there
	for {
		if _, out := r.command("show", "gw", "--at", fmt.Sprint(then)); strings.Contains(out, "/shop") {
			break
		}
		then--
	}
	r.execute("standalone", "--at", fmt.Sprint(then), "--bundle", file, "--port-offset", fmt.Sprint(offset), "--ready-file", r.ready())
	r.eventually("the past is served", func() error { _, err := os.Stat(r.ready()); return err })
	r.says(fmt.Sprintf("is on 127.0.0.1:%d.", moved))
	r.says("prefix /shop")
	for path, want := range map[string]int{"/shop/cart": 200, "/": 404} {
		for _, host := range []string{"one.example.com", "two.example.com"} {
			var presented *tls.ConnectionState
			transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
				ServerName: host, InsecureSkipVerify: true, //nolint:gosec // the certificate itself is looked at
				VerifyConnection: func(s tls.ConnectionState) error { presented = &s; return nil },
			}}
			status, body, err := get(t.Context(), transport, fmt.Sprintf("https://127.0.0.1:%d%s", moved, path), host)
			if err != nil || status != want {
				t.Fatalf("%s%s gets %d (%v), want %d", host, path, status, err, want)
			}
			if names := presented.PeerCertificates[0].DNSNames; len(names) != 1 || names[0] != host {
				t.Errorf("the certificate is for %v, want %s", names, host)
			}
			var answer struct{ Backend, Path string }
			if want == 200 && (json.Unmarshal([]byte(body), &answer) != nil || answer.Backend != "default/web/80" || answer.Path != path) {
				t.Errorf("the backend answers %s", body)
			}
		}
	}
	r.stop()
}

func TestWhatOfThePastCannotBeServedIsSaid(t *testing.T) {
	r := newRig(t)
	taken, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
	must(t, err)
	r.save("gateway", r.gateway())
	r.launch("--envoy", "none")
	r.shows("http")
	r.stop()
	defer taken.Close()
	r.execute("standalone", "--at", "now", "--data-dir", r.data)
	r.says("Address already in use")
	r.says("--port-offset 10000")
	r.stop()
	for command, want := range map[string]string{
		"standalone --at 1 --data-dir " + r.data:                         "nothing was published yet at",
		"standalone --at now x --data-dir " + r.data:                     "--at serves the past of a log, and no directory of manifests: leave DIR out",
		"standalone x --port-offset 1":                                   "say which, --at T",
		"standalone --at now":                                            "say where the log is",
		"standalone --at now --port-offset 65000 --data-dir " + r.data:   "no port: choose another --port-offset",
		"standalone --at now --listen-address here --data-dir " + r.data: "is not an IP address",
	} {
		code, out := r.rutter(strings.Fields(command)...)
		if code != exitFailed || !strings.Contains(out, want) || strings.Count(out, "\n") != 1 {
			t.Errorf("rutter %s exits with %d: %q, want %q", command, code, out, want)
		}
	}
}
