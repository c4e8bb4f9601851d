package disk

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/xds-server/internal/endpoints"
)

func sample(body string) *Copy {
	return &Copy{
		Routing: &routing.Snapshot{
			Version: events.Version{Incarnation: "i", Sequence: 7},
			Gateways: []routing.GatewayDelta{{Gateway: "ns/gw", Changed: []routing.Resource{
				{ResourceName: routing.ResourceName{Type: "t", Name: "n"}, Body: []byte(body), Sealed: []byte("sealed")},
			}}},
		},
		Slices:   []endpoints.Slice{{Namespace: "ns", Name: "s", Service: "web", Endpoints: []endpoints.Endpoint{{Address: "10.0.0.1", Ready: true}}}},
		Position: Position{Incarnation: "e", Sequence: 9},
	}
}

func TestWhatIsLoadedIsWhatWasSavedLast(t *testing.T) {
	dir := t.TempDir()
	if c, err := Load(dir); c != nil || err != nil {
		t.Fatalf("an empty directory gave %v, %v", c, err)
	}
	for _, body := range []string{"small", strings.Repeat("large", 100_000)} {
		want := sample(body)
		if err := Save(dir, want); err != nil {
			t.Fatal(err)
		}
		got, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 {
		t.Errorf("files are left behind: %v", files)
	}
	if info, err := files[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestADamagedFileIsRefusedWithItsNameAndTheWayOut(t *testing.T) {
	dir := t.TempDir()
	if err := Save(dir, sample("body")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"a flipped bit":   func(b []byte) []byte { b[len(b)-5] ^= 1; return b },
		"a lost tail":     func(b []byte) []byte { return b[:len(b)/2] },
		"another format":  func(b []byte) []byte { return []byte(strings.Replace(string(b), "rutter-copy 1", "rutter-copy 99", 1)) },
		"nothing at all":  func([]byte) []byte { return nil },
		"something other": func([]byte) []byte { return []byte("hello\nworld") },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, damage(append([]byte(nil), good...)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(dir)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "delete") {
				t.Errorf("got %v", err)
			}
		})
	}
}
