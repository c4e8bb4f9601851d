package replay_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// histories is how many random histories a property is tried on.
const histories = 60

func record(seed uint64) []events.Event {
	h := gwtest.NewHistory(seed)
	list := make([]events.Event, 0, 60)
	for range 60 {
		list = append(list, h.Next())
	}
	return list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// project folds events in batches of the given size and publishes after each.
func project(t *testing.T, e *replay.Engine, list []events.Event, batch int, onto *routing.State) {
	t.Helper()
	for len(list) > 0 {
		n := min(batch, len(list))
		must(t, e.Fold(list[:n]...))
		list = list[n:]
		if snap := e.Project(); snap != nil {
			must(t, onto.Apply(snap))
		}
		if problems := e.Problems(); len(problems) > 0 {
			t.Fatal(problems)
		}
	}
}

func sameContent(t *testing.T, seed uint64, what string, a, b replay.Content) {
	t.Helper()
	if differences := a.Differences(b); len(differences) > 0 {
		t.Fatalf("seed %d: %s: %v differ", seed, what, differences)
	}
}

func TestSnapshotsAddUpToTheStateFromNothing(t *testing.T) {
	for seed := range uint64(histories) {
		list := record(seed)
		e, published := replay.New("test"), routing.NewState()
		for i := range list {
			project(t, e, list[i:i+1], 1, published)
			scratch := replay.FromState(e.State())
			scratch.Project()
			sameContent(t, seed, "incremental and from nothing", e.Content(), scratch.Content())
			sameContent(t, seed, "engine and what was published", e.Content(), replay.ContentOf(published))
		}
	}
}

func TestBatchSizeChangesNoFinalState(t *testing.T) {
	for seed := range uint64(histories) {
		list := record(seed)
		var want replay.Content
		for i, batch := range []int{1, 7, 60} {
			e := replay.New("test")
			project(t, e, list, batch, routing.NewState())
			if i == 0 {
				want = e.Content()
			}
			sameContent(t, seed, "batches", want, e.Content())
		}
	}
}

func TestWholeLogEqualsCheckpointAndTail(t *testing.T) {
	for seed := range uint64(histories) {
		list := record(seed)
		whole, published := replay.New("test"), routing.NewState()
		project(t, whole, list, 1, published)
		for _, cut := range []int{1, 20, 45} {
			first, sofar := replay.New("test"), routing.NewState()
			project(t, first, list[:cut], 1, sofar)
			var data bytes.Buffer
			must(t, first.State().Write(&data))
			state := fold.NewState("")
			must(t, state.Read(json.NewDecoder(&data)))
			second := replay.FromState(state)
			second.Resume(sofar)
			project(t, second, list[cut:], 1, sofar)
			sameContent(t, seed, "whole and resumed", whole.Content(), second.Content())
			sameContent(t, seed, "published whole and resumed", replay.ContentOf(published), replay.ContentOf(sofar))
			if whole.State().Chain != second.State().Chain {
				t.Fatalf("seed %d: the chain over the events differs", seed)
			}
		}
	}
}
