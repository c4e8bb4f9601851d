package manifests

import (
	"fmt"

	"github.com/rutter-gateway/rutter/events"
)

// File is a file that nobody watches.
type File struct {
	Name string
	Data []byte
}

// IsManifest tells by the name whether a file of a directory is read.
func IsManifest(name string) bool { return isManifest(name) }

// Once reads files as they are now. Of several documents about one object the first
// one counts. recorded is what an object is replaced by, as JSON; nil for nothing.
func Once(files []File, recorded func(events.Key) []byte) (Changes, error) {
	d, err := newDecoder()
	if err != nil {
		return Changes{}, err
	}
	contents := make([]content, len(files))
	for i, f := range files {
		contents[i] = content{path: f.Name, data: f.Data}
	}
	var out Changes
	first := map[events.Key]Source{}
	for _, u := range (&set{}).read(d, contents) {
		for i, doc := range u.documents {
			source := Source{File: u.path, Document: i + 1, Line: doc.line}
			for _, v := range doc.verdicts {
				if err := out.addOnce(v, source, first, recorded); err != nil {
					return Changes{}, fmt.Errorf("read %s: %w", source, err)
				}
			}
		}
	}
	out.sort()
	return out, nil
}

func (c *Changes) addOnce(v *verdict, source Source, first map[events.Key]Source, recorded func(events.Key) []byte) error {
	if v.ignored != "" {
		c.Notices = append(c.Notices, Notice{Source: source, Message: v.ignored})
		return nil
	}
	refused := v.refused
	if other, taken := first[v.key]; taken && refused == "" {
		refused = fmt.Sprintf("%s is in %s already", describe(v.key), other)
	}
	if refused == "" {
		if err := v.replace(recorded(v.key)); err != nil {
			refused = err.Error()
		}
	}
	if refused != "" {
		c.Problems = append(c.Problems, Problem{Source: source, Key: v.key, Message: refused})
		return nil
	}
	object, err := parse(v.object)
	if err != nil {
		return err
	}
	first[v.key] = source
	c.Applied = append(c.Applied, Object{Key: v.key, Object: object, Hash: v.hash, Source: source})
	return nil
}
