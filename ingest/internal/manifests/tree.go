package manifests

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// tree is the directory with everything below it, and the watches on it.
//
// Watches are put on real directories, so a directory is known here by two
// names: where it really is, which events name, and the path below the root by
// which it was found, which Source.File shows.
type tree struct {
	root    string // absolute
	watcher *fsnotify.Watcher
	dirs    map[string]string   // real directory → path below the root
	hops    map[string]struct{} // links, and what they lead to, outside the files found directly
}

// listing is what a scan found.
type listing struct {
	files  map[string]fs.FileInfo // path below the root → the file, links followed
	broken map[string]error       // path below the root → why that directory cannot be read
}

// scan lists the tree. Each directory is watched before it is read, so that
// nothing falls between. A directory that several paths lead to is read once,
// by the first one in the order of the walk.
func (t *tree) scan() listing {
	before := t.dirs
	t.dirs, t.hops = map[string]string{}, map[string]struct{}{}
	out := listing{files: map[string]fs.FileInfo{}, broken: map[string]error{}}
	watched := map[string]bool{}
	t.directory(".", watched, &out)
	for actual := range before {
		if !watched[actual] {
			_ = t.watcher.Remove(actual) // it has usually gone by itself
		}
	}
	for actual := range watched {
		if _, ok := t.dirs[actual]; !ok {
			t.dirs[actual] = "" // only links or their targets are in it
		}
	}
	return out
}

func (t *tree) directory(name string, watched map[string]bool, out *listing) {
	actual, err := t.follow(name, watched)
	if err != nil {
		out.broken[name] = err
		return
	}
	if _, seen := t.dirs[actual]; seen {
		return
	}
	if err := t.watch(actual, watched); err != nil {
		out.broken[name] = err
		return
	}
	t.dirs[actual] = name
	entries, err := os.ReadDir(actual)
	if err != nil {
		out.broken[name] = fmt.Errorf("read directory: %w", err)
		return
	}
	for _, entry := range entries {
		t.entry(path.Join(name, entry.Name()), entry, watched, out)
	}
}

func (t *tree) entry(name string, entry fs.DirEntry, watched map[string]bool, out *listing) {
	if strings.HasPrefix(entry.Name(), ".") {
		return
	}
	if entry.IsDir() {
		t.directory(name, watched, out)
		return
	}
	info, err := entry.Info()
	if err == nil && entry.Type()&fs.ModeSymlink != 0 {
		if _, err = t.follow(name, watched); err == nil {
			info, err = os.Stat(t.path(name))
		}
	}
	switch {
	case err != nil: // gone again, or a link to nothing; its directory is watched
	case info.IsDir():
		t.directory(name, watched, out)
	case isManifest(name):
		out.files[name] = info
	}
}

// follow resolves a path below the root, and watches the links on the way and
// the place that they lead to: any of them may be replaced.
func (t *tree) follow(name string, watched map[string]bool) (string, error) {
	actual, links, err := resolveLinks(t.path(name))
	if err == nil && len(links) > 0 {
		links = append(links, actual)
	}
	for _, link := range links {
		t.hops[link] = struct{}{}
		err = errors.Join(err, t.watch(filepath.Dir(link), watched))
	}
	return actual, err
}

func (t *tree) watch(actual string, watched map[string]bool) error {
	if watched[actual] {
		return nil
	}
	if err := t.watcher.Add(actual); err != nil {
		return fmt.Errorf("watch directory: %w", err)
	}
	watched[actual] = true
	return nil
}

// path is where a path below the root lies in the file system.
func (t *tree) path(name string) string { return filepath.Join(t.root, filepath.FromSlash(name)) }

// affected says what an event means: the file that may have changed, or that the
// tree must be scanned again, or (neither) nothing.
func (t *tree) affected(event fsnotify.Event) (file string, rescan bool) {
	if _, ok := t.hops[event.Name]; ok {
		return "", true
	}
	if _, ok := t.dirs[event.Name]; ok { // the directory itself, or its name in its parent
		return "", event.Has(fsnotify.Create) || event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename)
	}
	dir, ok := t.dirs[filepath.Dir(event.Name)]
	base := filepath.Base(event.Name)
	switch {
	case !ok || dir == "" || strings.HasPrefix(base, "."):
		return "", false
	case isManifest(base):
		info, err := os.Lstat(event.Name)
		special := err == nil && !info.Mode().IsRegular() // a link, or a directory with such a name
		return path.Join(dir, base), special
	case event.Has(fsnotify.Create), event.Has(fsnotify.Chmod): // perhaps a directory that was not there, or not readable
		info, err := os.Stat(event.Name)
		return "", err == nil && info.IsDir()
	default:
		return "", false
	}
}
