package standalone

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheLogOfEnvoyIsBoundedAndGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gw.log")
	for range 2 { // the second finds what the first left
		l, err := openLog(path)
		if err != nil {
			t.Fatal(err)
		}
		l.most = 10
		for range 7 {
			if _, err := l.Write([]byte("four")); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{path: "fourfour", path + ".old": "fourfour"} {
		if got, err := os.ReadFile(name); string(got) != want || err != nil {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
}
