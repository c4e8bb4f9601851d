package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/status-writer/conditions"
)

const suffix = ".yaml"

// Files are the statuses in a directory. Safe for concurrent use, but for one
// object by one goroutine at a time. Nothing is kept but in the files.
type Files struct{ dir string }

// Open creates the directory where it does not exist.
func Open(dir string) (*Files, error) {
	f := &Files{dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open statuses: %w", err)
	}
	return f, nil
}

// read is what the file of an object says. One that cannot be read as a status
// counts as missing: it will be written anew.
func read(path string, key events.Key) (conditions.Object, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return conditions.Object{}, nil
	}
	if err != nil {
		return conditions.Object{}, err
	}
	o, err := decode(key, data)
	if err != nil {
		return conditions.Object{}, nil //nolint:nilerr // see above
	}
	return o, nil
}

// path is where the status of an object is.
func (f *Files) path(key events.Key) (string, error) {
	relative := filepath.FromSlash(key.String()) + suffix
	if parsed, err := events.ParseKey(key.String()); err != nil || parsed != key || !filepath.IsLocal(relative) || filepath.Clean(relative) != relative {
		return "", fmt.Errorf("object %s has no place in a directory", key)
	}
	return filepath.Join(f.dir, relative), nil
}

// Apply writes the status that change makes of the present one, if it differs.
func (f *Files) Apply(_ context.Context, key events.Key, change func(conditions.Object) conditions.Object) (bool, error) {
	path, err := f.path(key)
	if err != nil {
		return false, fmt.Errorf("write status of %s: %w", key, err)
	}
	before, err := read(path, key)
	if err != nil {
		return false, fmt.Errorf("read status of %s: %w", key, err)
	}
	after := change(before)
	if equality.Semantic.DeepEqual(before, after) {
		return false, nil
	}
	data, err := encode(key, after)
	if err == nil {
		err = replace(path, data)
	}
	if err != nil {
		return false, fmt.Errorf("write status of %s: %w", key, err)
	}
	return true, nil
}

// Remove deletes the status of an object; no error when there is none.
func (f *Files) Remove(_ context.Context, key events.Key) (bool, error) {
	path, err := f.path(key)
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("remove status of %s: %w", key, err)
	}
	return err == nil, nil
}

// Changed waits for ctx to end: nobody else writes the files.
func (f *Files) Changed(ctx context.Context) ([]events.Key, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// Applied are the objects that have a status here, sorted. A file that is none of
// ours stays as it is; what a crash has left half written goes.
func (f *Files) Applied(context.Context) ([]events.Key, error) {
	var keys []events.Key
	err := filepath.WalkDir(f.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || entry.IsDir():
			return err
		case strings.HasPrefix(entry.Name(), temporary):
			return os.Remove(path)
		}
		relative, err := filepath.Rel(f.dir, path)
		if err != nil {
			return err
		}
		name, ok := strings.CutSuffix(filepath.ToSlash(relative), suffix)
		if key, err := events.ParseKey(name); ok && err == nil {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list statuses: %w", err)
	}
	slices.SortFunc(keys, events.Key.Compare)
	return keys, nil
}

// temporary begins the name of a file that is being written.
const temporary = ".tmp-"

// replace writes a file as a whole or not at all. It is not synced: a status can
// be computed again, and a torn one would be written anew.
func replace(path string, data []byte) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, temporary)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(dir, 0o755); err == nil {
			file, err = os.CreateTemp(dir, temporary)
		}
	}
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
