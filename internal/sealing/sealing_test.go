package sealing_test

import (
	"bytes"
	"testing"

	"filippo.io/age"

	"github.com/rutter-gateway/rutter/internal/sealing"
)

func TestOnlyTheIdentityOpensWhatIsSealed(t *testing.T) {
	ours, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("a private key")
	sealed, err := sealing.Seal(ours.Recipient(), key)
	if err != nil || bytes.Contains(sealed, key) {
		t.Fatalf("sealed is %q, %v", sealed, err)
	}
	if opened, err := sealing.Open(ours, sealed); err != nil || !bytes.Equal(opened, key) {
		t.Errorf("opened is %q, %v", opened, err)
	}
	if opened, err := sealing.Open(other, sealed); err == nil {
		t.Errorf("another identity opens it: %q", opened)
	}
	sealed[len(sealed)-1] ^= 1
	if opened, err := sealing.Open(ours, sealed); err == nil {
		t.Errorf("what was altered is opened: %q", opened)
	}
	again, err := sealing.Seal(ours.Recipient(), key)
	if err != nil || bytes.Equal(again[:len(again)-1], sealed[:len(sealed)-1]) {
		t.Errorf("sealed twice it is the same: %v", err)
	}
	large, err := sealing.Seal(ours.Recipient(), make([]byte, 2<<20))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealing.Open(ours, large); err == nil {
		t.Error("what no key is as large as is opened")
	}
}
