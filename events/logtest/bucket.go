package logtest

import (
	"bytes"
	"slices"

	"github.com/rutter-gateway/rutter/events"
)

func bucketKeeps(f *fixture) {
	b, err := f.log.Bucket(f.ctx, "checkpoints")
	f.must(err)
	if names, err := b.List(f.ctx); err != nil || len(names) != 0 {
		f.Errorf("fresh bucket holds %v: %v", names, err)
	}
	_, err = b.Get(f.ctx, "none")
	f.wantError(err, events.ErrNotFound)
	f.must(b.Delete(f.ctx, "none"))

	large := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	for name, data := range map[string][]byte{"b/2": large, "a/1": []byte("old"), "empty": {}} {
		f.must(b.Put(f.ctx, name, data))
	}
	f.must(b.Put(f.ctx, "a/1", []byte("new")))
	again, err := f.log.Bucket(f.ctx, "checkpoints")
	f.must(err)
	for name, want := range map[string][]byte{"b/2": large, "a/1": []byte("new"), "empty": {}} {
		if got, err := again.Get(f.ctx, name); err != nil || !bytes.Equal(got, want) {
			f.Errorf("%s holds %d bytes, want %d: %v", name, len(got), len(want), err)
		}
	}
	f.must(b.Delete(f.ctx, "b/2"))
	_, err = b.Get(f.ctx, "b/2")
	f.wantError(err, events.ErrNotFound)
	if names, err := b.List(f.ctx); err != nil || !slices.Equal(names, []string{"a/1", "empty"}) {
		f.Errorf("bucket holds %v: %v", names, err)
	}
}
