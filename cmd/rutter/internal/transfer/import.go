package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/bundle"
	"github.com/rutter-gateway/rutter/events/natslog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector"
)

// ErrOccupied is returned for a directory that holds something.
var ErrOccupied = errors.New("it is not empty: name one that does not exist yet")

// Import makes a data directory of a bundle. It is made beside dir first: after a
// crash or an error there is none, and never a part of one.
func Import(ctx context.Context, file *bundle.File, dir string, logger *slog.Logger, progress func(Summary)) (*Summary, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = ErrOccupied
		}
		return nil, fmt.Errorf("import into %s: %w", dir, err)
	}
	err := os.MkdirAll(filepath.Dir(dir), 0o700)
	var made string
	if err == nil {
		made, err = os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-")
	}
	if err != nil {
		return nil, fmt.Errorf("import into %s: %w", dir, err)
	}
	defer os.RemoveAll(made)
	summary, err := fill(ctx, file, made, logger, progress)
	if err == nil {
		if err = os.Remove(dir); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(made, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("import into %s: %w", dir, err)
	}
	return summary, nil
}

func fill(ctx context.Context, file *bundle.File, dir string, logger *slog.Logger, progress func(Summary)) (*Summary, error) {
	log, err := natslog.StartServer(ctx, natslog.ServerConfig{Dir: dir, Logger: logger})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	m := &importer{file: file, log: log, progress: progress, summary: Summary{Messages: map[string]int{}}}
	known := events.Streams(1)
	for _, h := range file.Header().Streams {
		i := slices.IndexFunc(known, func(c events.StreamConfig) bool { return c.Name == h.Name })
		if i < 0 {
			return nil, fmt.Errorf("the bundle has a stream %s, which this build does not know: use the release that wrote it (%s), or a newer one", h.Name, file.Header().By)
		}
		if err := m.stream(ctx, known[i]); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{projector.FoldBucket, routing.CheckpointBucket} {
		if err := m.checkpoints(ctx, name); err != nil {
			return nil, err
		}
	}
	return &m.summary, nil
}

type importer struct {
	file     *bundle.File
	log      *natslog.Log
	progress func(Summary)
	summary  Summary
}

func (m *importer) stream(ctx context.Context, c events.StreamConfig) error {
	s, err := m.file.Stream(ctx, events.StreamConfig{Name: c.Name})
	if err != nil {
		return err
	}
	info, err := s.Info(ctx)
	if err != nil {
		return err
	}
	m.summary.Of += info.Last - info.First + 1
	return m.log.Restore(ctx, c, info.Incarnation, info.First, m.batches(ctx, c.Name, s, info))
}

func (m *importer) batches(ctx context.Context, name string, s events.Stream, info events.StreamInfo) iter.Seq2[[]events.Message, error] {
	return func(yield func([]events.Message, error) bool) {
		reader := s.Reader(info.First)
		defer reader.Close()
		for next := info.First; next <= info.Last; {
			batch, err := reader.Next(ctx)
			if !yield(batch, err) || err != nil {
				return
			}
			next = batch[len(batch)-1].Sequence + 1
			m.summary.Messages[name] += len(batch)
			m.progress(m.summary)
		}
	}
}

func (m *importer) checkpoints(ctx context.Context, name string) error {
	from, err := m.file.Bucket(ctx, name)
	if err != nil {
		return err
	}
	to, err := m.log.Bucket(ctx, name)
	if err != nil {
		return err
	}
	names, err := from.List(ctx)
	if err != nil {
		return err
	}
	for _, object := range names {
		data, err := from.Get(ctx, object)
		if err != nil {
			return err
		}
		packed, encoding, err := routing.MarshalStream(func(out io.Writer) error {
			_, err := out.Write(data[1:]) // behind the line that names no encoding
			return err
		})
		if err == nil {
			err = to.Put(ctx, object, append([]byte(encoding+"\n"), packed...))
		}
		if err != nil {
			return err
		}
		m.summary.Checkpoints++
	}
	return nil
}
