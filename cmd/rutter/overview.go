package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/display"
	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// overview is every object that has conditions, at one version.
type overview struct {
	Version     string         `json:"version"`
	Time        time.Time      `json:"time"`
	FoldVersion int            `json:"foldVersion"`
	Objects     []judgedObject `json:"objects"`
}

type judgedObject struct {
	Object     string      `json:"object"`
	Generation int64       `json:"generation"`
	Conditions []condition `json:"conditions"`
}

func newOverview(state *routing.State) *overview {
	o := &overview{Version: state.Version.String(), Time: state.Time, FoldVersion: state.FoldVersion, Objects: []judgedObject{}}
	for _, key := range slices.SortedFunc(maps.Keys(state.Verdicts), events.Key.Compare) {
		v := state.Verdicts[key]
		o.Objects = append(o.Objects, judgedObject{history.Object(key), v.Generation, conditionsOf(v)})
	}
	return o
}

func (o *overview) bad() bool {
	return slices.ContainsFunc(o.Objects, func(j judgedObject) bool { return anyBad(j.Conditions) })
}

func (o *overview) write(w io.Writer, colours bool) error {
	if _, err := fmt.Fprintf(w, "Version  %s of %s (fold %d)\n\n", o.Version, o.Time.UTC().Format(time.RFC3339), o.FoldVersion); err != nil {
		return err
	}
	if len(o.Objects) == 0 {
		_, err := fmt.Fprintln(w, "there is no object of ours")
		return err
	}
	t := display.Rows{Header: []string{"OBJECT", "GENERATION", "CONDITIONS"}}
	for _, j := range o.Objects {
		t.Body = append(t.Body, []display.Cell{{Text: j.Object}, {Text: strconv.FormatInt(j.Generation, 10)}, summary(j.Conditions)})
		for _, message := range messages(j.Conditions) {
			t.Body = append(t.Body, display.Cells("", "", "  "+message))
		}
	}
	return t.Write(w, colours)
}

// printOverview prints every object with its conditions and what each Gateway serves.
func printOverview(w io.Writer, state *routing.State, colours bool) error {
	if err := newOverview(state).write(w, colours); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(state.Gateways)) {
		s, err := newShown(state, name, "")
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "\nGateway %s\n", name); err != nil {
			return err
		}
		if err := s.table().Write(w, colours); err != nil {
			return err
		}
	}
	return nil
}
