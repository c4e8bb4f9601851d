package replaytests

import (
	"flag"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"golang.org/x/tools/txtar"
)

var record = flag.String("record", "", "record the histories whose names match this anew; see `make record-history`")

// TestRecord records histories from a running system: a real rutter with a real Envoy,
// or with a real API server where the script says so. It does nothing unless told to,
// and never in passing: what is recorded stays as it is.
//
// It runs in a network namespace of its own, so that Gateways have the ports that
// people give them.
func TestRecord(t *testing.T) {
	if *record == "" {
		t.Skip("nothing is to be recorded")
	}
	wanted, err := regexp.Compile("^(" + *record + ")$")
	must(t, err)
	if listener, err := net.Listen("tcp", "127.0.0.1:80"); err != nil {
		t.Fatalf("port 80 is somebody's: record by `make record-history NAME=%s`", *record)
	} else {
		must(t, listener.Close())
	}
	found := false
	for _, dir := range histories(t) {
		if name := filepath.Base(dir); wanted.MatchString(name) {
			found = true
			t.Run(name, func(t *testing.T) { recordOne(t, dir) })
		}
	}
	if !found {
		t.Errorf("no history is called %s", *record)
	}
}

func recordOne(t *testing.T, dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "record.txtar"))
	must(t, err)
	r := newRecorder(t, txtar.Parse(text))
	r.run()
	must(t, os.WriteFile(filepath.Join(dir, "moments"), []byte(r.moments.String()), 0o644))
	bundle, err := filepath.Abs(filepath.Join(dir, "bundle.rutter"))
	must(t, err)
	r.export(bundle)
	must(t, os.Chmod(bundle, 0o644))
}
