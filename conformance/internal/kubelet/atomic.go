package kubelet

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// dataLink is the one link that is replaced when the content of a volume changes.
const dataLink = "..data"

// writeAtomically makes files the content of a directory, in the way that programs
// expect of a kubelet: all of it changes at once, by a link that is renamed.
//
//	dir/tls.crt ──► ..data/tls.crt     ..data ──► ..2026_11_24_10_00_00.1
//
// Nothing is written when nothing changed.
func writeAtomically(dir string, files map[string]file, group int, now time.Time) error {
	for path := range files {
		if !filepath.IsLocal(path) || strings.HasPrefix(path, "..") {
			return fmt.Errorf("path %q is not within a volume", path)
		}
	}
	before, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if before != "" && same(filepath.Join(dir, before), files) {
		return nil
	}
	fresh, err := os.MkdirTemp(dir, now.UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return err
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	for path, file := range files {
		if err := writeFile(filepath.Join(fresh, path), file, group); err != nil {
			return err
		}
	}
	link := filepath.Join(dir, dataLink+"_next")
	if err := os.Symlink(filepath.Base(fresh), link); err != nil {
		return err
	}
	if err := os.Rename(link, filepath.Join(dir, dataLink)); err != nil {
		return err
	}
	if err := linkNames(dir, files); err != nil {
		return err
	}
	if before == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(dir, before))
}

// same tells whether a directory contains these files and no others.
func same(dir string, files map[string]file) bool {
	seen := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if wanted, found := files[relative]; !found || wanted.content != string(content) {
			return errors.New("another content")
		}
		seen++
		return nil
	})
	return err == nil && seen == len(files)
}

func writeFile(path string, file file, group int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	mode := file.mode
	if err := os.WriteFile(path, []byte(file.content), 0o600); err != nil {
		return err
	}
	if group >= 0 {
		if err := os.Chown(path, -1, group); err != nil {
			return err
		}
		mode |= 0o440 // whoever is in the group may read
	}
	return os.Chmod(path, mode)
}

// linkNames makes a link for each first part of a path, and removes those that lead
// nowhere now.
func linkNames(dir string, files map[string]file) error {
	names := make(map[string]struct{})
	for path := range files {
		first, _, _ := strings.Cut(path, "/")
		names[first] = struct{}{}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if _, kept := names[entry.Name()]; !kept && !strings.HasPrefix(entry.Name(), "..") {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
