package routing_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// large is a snapshot that does not compress to nothing.
func large(resources int) *routing.Snapshot {
	s := &routing.Snapshot{Version: version(7), FoldVersion: 1}
	delta := routing.GatewayDelta{Gateway: "n/gw"}
	for i := range resources {
		r := resource(fmt.Sprint("c", i), strings.Repeat(fmt.Sprint(i, " "), 20))
		delta.Changed, delta.Digest = append(delta.Changed, r), delta.Digest.Add(r.Member(r.Digest))
	}
	s.Gateways = []routing.GatewayDelta{delta}
	return s
}

func encode(t *testing.T, s *routing.Snapshot, maxBytes int) []events.Message {
	t.Helper()
	messages, err := routing.EncodeSnapshot("c", s, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		messages[i].Sequence = uint64(i + 1)
	}
	return messages
}

func assemble(messages ...events.Message) (out []*routing.Snapshot, err error) {
	var parts routing.Assembler
	for _, m := range messages {
		s, err := parts.Add(m)
		if err != nil {
			return out, err
		}
		if s != nil {
			out = append(out, s)
		}
	}
	return out, nil
}

func TestASnapshotComesBackFromItsChunks(t *testing.T) {
	for _, resources := range []int{0, 1, 1000} { // the last is compressed
		for _, maxBytes := range []int{100, 4096, 1 << 20} {
			want := large(resources)
			messages := encode(t, want, maxBytes)
			for _, m := range messages {
				if len(m.Data) > maxBytes {
					t.Errorf("a message has %d bytes, at most %d", len(m.Data), maxBytes)
				}
			}
			guard := events.Message{Subject: "rutter.snapshots.c.guard"}
			got, err := assemble(append([]events.Message{guard}, messages...)...)
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
				t.Errorf("%d resources in %d messages came back as %d snapshots: %v", resources, len(messages), len(got), err)
			}
		}
	}
}

func TestChunksThatDoNotFollowAreRefused(t *testing.T) {
	m := encode(t, large(1000), 1024)
	other := large(1000)
	other.Version = version(8)
	o := encode(t, other, 1024)
	if len(m) < 4 {
		t.Fatalf("only %d chunks", len(m))
	}
	for name, list := range map[string][]events.Message{
		"missing":          {m[0], m[2]},
		"missing first":    m[1:],
		"duplicated":       {m[0], m[1], m[1]},
		"of two versions":  {m[0], o[1]},
		"more than stated": append(append([]events.Message{}, m...), m[len(m)-1]),
	} {
		if got, err := assemble(list...); !errors.Is(err, routing.ErrFormat) {
			t.Errorf("%s: %d snapshots, %v", name, len(got), err)
		}
	}
	// A version that was begun and given up is void as soon as another begins.
	if got, err := assemble(append([]events.Message{m[0], m[1]}, o...)...); err != nil || len(got) != 1 || got[0].Version != other.Version {
		t.Errorf("after half a version: %d snapshots, %v", len(got), err)
	}
}

func TestMessagesOfAnUnknownFormOrWithOtherContentAreRefused(t *testing.T) {
	spoiled := func(spoil func(*events.Message)) events.Message {
		m := encode(t, large(1000), 1<<20)[0]
		spoil(&m)
		return m
	}
	for name, m := range map[string]events.Message{
		"format":           spoiled(func(m *events.Message) { m.Header["rutter-format"] = "2" }),
		"encoding":         spoiled(func(m *events.Message) { m.Header["content-encoding"] = "br" }),
		"no chunk number":  spoiled(func(m *events.Message) { delete(m.Header, "rutter-chunk") }),
		"another version":  spoiled(func(m *events.Message) { m.Header["rutter-version"] = "I/9" }),
		"truncated":        spoiled(func(m *events.Message) { m.Data = m.Data[:len(m.Data)/2] }),
		"altered":          spoiled(func(m *events.Message) { m.Data = []byte("x") }),
		"not what is said": spoiled(func(m *events.Message) { m.Header["content-encoding"] = "" }),
	} {
		if got, err := assemble(m); !errors.Is(err, routing.ErrFormat) {
			t.Errorf("%s: %d snapshots, %v", name, len(got), err)
		}
	}
}

func TestAReceiptComesBack(t *testing.T) {
	want := &routing.Receipt{Server: "xds-0"}
	m, err := routing.EncodeReceipt("c", want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := routing.DecodeReceipt(m); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("came back as %+v: %v", got, err)
	}
	m.Header["rutter-format"] = "0"
	if _, err := routing.DecodeReceipt(m); !errors.Is(err, routing.ErrFormat) {
		t.Errorf("an unknown format: %v", err)
	}
}
