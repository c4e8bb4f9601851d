package preview

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
)

// File is a file with manifests.
type File = manifests.File

// ReadFiles reads a file, all manifests in a directory and below it, or for "-" what
// comes from in.
func ReadFiles(path string, in io.Reader) ([]File, error) {
	if path == "-" {
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, fmt.Errorf("read manifests: %w", err)
		}
		return []File{{Name: "-", Data: data}}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	if !info.IsDir() {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read manifests: %w", err)
		}
		return []File{{Name: path, Data: data}}, nil
	}
	var out []File
	err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !manifests.IsManifest(filepath.ToSlash(name)) {
			return err
		}
		data, err := os.ReadFile(name)
		out = append(out, File{Name: name, Data: data})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	return out, nil
}
