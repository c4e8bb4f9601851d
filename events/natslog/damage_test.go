package natslog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
)

// endless is the stream EVENTS without limits.
func endless() events.StreamConfig {
	return events.StreamConfig{Name: events.StreamEvents, Subjects: []string{"rutter.events.>"}}
}

func lease(holder string) events.LeaseConfig {
	return events.LeaseConfig{
		Cluster: "c", Holder: holder, Sole: true,
		Open: func(epoch uint64) events.Message {
			return events.Encode(events.Event{
				ID: fmt.Sprintf("%s/%d", holder, epoch), Type: events.TypeEpoch, Cluster: "c",
				Key: events.EpochKey(events.StreamEvents), Epoch: epoch, Data: []byte("{}"),
			})
		},
	}
}

func message(n, size int) events.Message {
	return events.Message{
		Subject: "rutter.events.c.httproutes.ns.r", ID: fmt.Sprint("id/", n), Header: map[string]string{"n": fmt.Sprint(n)},
		Data: []byte(strings.Repeat(string(rune('a'+n%26)), size)),
	}
}

// take opens EVENTS of l and takes it.
func take(t testing.TB, l *Log) (events.Stream, events.Writer) {
	t.Helper()
	s, err := l.Stream(t.Context(), endless())
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Acquire(t.Context(), lease("test"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(t.Context()); err != nil && !errors.Is(err, t.Context().Err()) {
			t.Error(err)
		}
	})
	return s, w
}

// stored is how many messages of 1 MiB, after a guard, a store has: in four blocks
// of sequences 1–8, 9–15, 16–22 and 23–27.
const stored = 26

// store is a closed data directory.
func store(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	l := start(t, dir)
	_, w := take(t, l)
	for n := range stored {
		if _, err := w.Append(t.Context(), message(n, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	bucket, err := l.Bucket(t.Context(), "checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := bucket.Put(t.Context(), "one", []byte(strings.Repeat("x", 300_000))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Close()
	return dir
}

func TestDamagedDataDirectoryIsRefusedAndLeftAsItIs(t *testing.T) {
	whole := store(t)
	stream := "jetstream/$G/streams/EVENTS/"
	for name, test := range map[string]struct {
		damage func(t *testing.T, dir string)
		want   []string
	}{
		"byte of a middle block":        {flip(stream+"msgs/2.blk", 1, 2), []string{"EVENTS: 1 message is damaged in msgs/2.blk (sequence 1"}},
		"byte of the last block":        {flip(stream+"msgs/4.blk", 1, 2), []string{"EVENTS: 1 message is damaged in msgs/4.blk (sequence 2"}},
		"last byte of the last block":   {flip(stream+"msgs/4.blk", 1, 1), []string{"EVENTS: 1 message is damaged in msgs/4.blk (sequence 27)"}},
		"first byte of the last block":  {flip(stream+"msgs/4.blk", 0, 1), []string{"EVENTS: 1 message is damaged in msgs/4.blk"}},
		"length of a header":            {flipAt(stream+"msgs/2.blk", 22+len("rutter.events.c.httproutes.ns.r")), []string{"EVENTS: 1 message is damaged in msgs/2.blk"}},
		"first message":                 {flipAt(stream+"msgs/1.blk", 30), []string{"msgs/1.blk"}},
		"last block truncated":          {truncate(stream+"msgs/4.blk", 1, 2), []string{"messages are damaged in msgs/4.blk", "–27)"}},
		"last block truncated a little": {truncate(stream+"msgs/4.blk", 99, 100), []string{"1 message is damaged in msgs/4.blk (sequence 27)"}},
		"middle block truncated":        {truncate(stream+"msgs/2.blk", 1, 2), []string{"messages are damaged in msgs/2.blk"}},
		"first block removed":           {remove(stream + "msgs/1.blk"), []string{"messages are damaged in msgs/", "(sequences 1–"}},
		"middle block removed":          {remove(stream + "msgs/2.blk"), []string{"messages are damaged in msgs/2.blk"}},
		"last block removed":            {remove(stream + "msgs/4.blk"), []string{"messages are damaged in msgs/", "–27)"}},
		"all blocks removed":            {remove(stream + "msgs"), []string{"27 messages are damaged in msgs (sequences 1–27)"}},
		"byte of meta.inf":              {flip(stream+"meta.inf", 1, 2), []string{"EVENTS: meta.inf is damaged"}},
		"meta.inf removed":              {remove(stream + "meta.inf"), []string{"EVENTS: meta.inf is damaged"}},
		"meta.sum removed":              {remove(stream + "meta.sum"), []string{"EVENTS: meta.inf is damaged"}},
		"stream removed":                {remove(stream), []string{"stream EVENTS is missing"}},
		"byte of a checkpoint":          {flip("jetstream/$G/streams/OBJ_checkpoints/msgs/1.blk", 1, 2), []string{"OBJ_checkpoints", "msgs/1.blk"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			test.damage(t, dir)
			for range 2 { // the first look must not have mended, or worsened, anything
				l, err := StartServer(t.Context(), ServerConfig{Dir: dir, Logger: logger(t)})
				if err == nil {
					l.Close()
					t.Fatal("the damaged directory was opened")
				}
				for _, want := range append(test.want, "data directory "+dir, "from a copy, or move it away to start anew") {
					if !errors.Is(err, events.ErrDamaged) || !strings.Contains(err.Error(), want) {
						t.Fatalf("error %q lacks %q", err, want)
					}
				}
			}
		})
	}
}

func TestHarmlessDamageIsRepaired(t *testing.T) {
	whole := store(t)
	stream := "jetstream/$G/streams/EVENTS/"
	for name, damage := range map[string]func(t *testing.T, dir string){
		"the server's index altered":      flip(stream+"msgs/index.db", 1, 2),
		"the server's index removed":      remove(stream + "msgs/index.db"),
		"marks removed":                   remove("marks.json"),
		"an unfinished record at the end": extend(stream+"msgs/4.blk", []byte{200, 1, 0, 128, 32, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6}),
		"zeros at the end":                extend(stream+"msgs/4.blk", make([]byte, 4096)),
		"an owner that is gone": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, OwnerFile), []byte("nats://x@127.0.0.1:1"))
		},
		"a state of consumers left behind": func(t *testing.T, dir string) { write(t, filepath.Join(dir, stream, "obs", "x"), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			damage(t, dir)
			l := start(t, dir)
			s, err := l.Stream(t.Context(), events.StreamConfig{Name: events.StreamEvents})
			if err != nil {
				t.Fatal(err)
			}
			wantMessages(t, s, stored, 1<<20)
		})
	}
}

// wantMessages fails unless s holds a guard and the n messages after it.
func wantMessages(t testing.TB, s events.Stream, n, size int) {
	t.Helper()
	r := s.Reader(1)
	defer r.Close()
	var all []events.Message
	for len(all) < n+1 {
		batch, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, batch...)
	}
	for i, m := range all[1:] {
		if want := message(i, size); m.ID != want.ID || string(m.Data) != string(want.Data) {
			t.Fatalf("message %d is %s", i, m.ID)
		}
	}
}

// flip alters the byte at num/den of a file (the last for 1/1).
func flip(file string, num, den int) func(*testing.T, string) {
	return change(file, func(data []byte) []byte {
		data[min(len(data)-1, len(data)*num/den)] ^= 0x10
		return data
	})
}

func flipAt(file string, at int) func(*testing.T, string) {
	return change(file, func(data []byte) []byte {
		data[at] ^= 0x01
		return data
	})
}

func truncate(file string, num, den int) func(*testing.T, string) {
	return change(file, func(data []byte) []byte { return data[:len(data)*num/den] })
}

func extend(file string, by []byte) func(*testing.T, string) {
	return change(file, func(data []byte) []byte { return append(data, by...) })
}

func remove(file string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.RemoveAll(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
}

func change(file string, how func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), how(data))
	}
}

func write(t *testing.T, file string, data []byte) {
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
