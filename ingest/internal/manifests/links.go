package manifests

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks is how many symbolic links one path may lead through, as in Linux.
const maxLinks = 40

// resolveLinks follows path (absolute) to what it names. The target has no link
// in it; links are those that lead there, each as a path without links before
// its last element, so that each lies in the directory in which it can be
// replaced.
func resolveLinks(path string) (target string, links []string, err error) {
	root := filepath.VolumeName(path) + string(filepath.Separator)
	at, rest := root, path[len(root):]
	for rest != "" {
		element, tail, _ := strings.Cut(rest, string(filepath.Separator))
		rest = tail
		switch element {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, element)
		info, err := os.Lstat(next)
		if err != nil {
			return "", append(links, next), err // it may yet come to be
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links = append(links, next); len(links) > maxLinks {
			return "", links, fmt.Errorf("follow %s: too many symbolic links", path)
		}
		to, err := os.Readlink(next)
		if err != nil {
			return "", links, err
		}
		if filepath.IsAbs(to) {
			at, to = root, to[len(root):]
		}
		rest = to + string(filepath.Separator) + rest
	}
	return at, links, nil
}
