package standalone

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

func TestIdentityIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity")
	var wg sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		wg.Go(func() {
			identity, err := loadIdentity(path)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = identity.String()
		})
	}
	wg.Wait()
	if len(slices.Compact(got)) != 1 {
		t.Error("several identities were made")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".identity-*")); left != nil {
		t.Errorf("left behind %v", left)
	}
	if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadIdentity(path); err == nil {
		t.Error("a damaged identity was replaced")
	}
}
