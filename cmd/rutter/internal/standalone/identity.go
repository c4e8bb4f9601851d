package standalone

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
)

// loadIdentity reads the age identity in a file, and makes one on first use.
// The file holds "AGE-SECRET-KEY-1…" and is readable by its owner only. Of
// several that start at once with the same path, all get the same identity.
func loadIdentity(path string) (*age.X25519Identity, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeIdentity(path); err != nil {
			return nil, err
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	identity, err := age.ParseX25519Identity(string(bytes.TrimSpace(text)))
	if err != nil {
		return nil, fmt.Errorf("parse identity %s: %w: restore the file, or delete it, and keys are sealed anew from the manifests", path, err)
	}
	return identity, nil
}

// makeIdentity puts a new identity at path unless there is one by then. It is
// written and synced under another name first: a crash leaves either no
// identity or a whole one, never a torn one that opens nothing.
func makeIdentity(path string) error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("generate identity: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".identity-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(identity.String() + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write identity: %w", err)
	}
	return nil
}
