package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/internal/checkpoint"
)

// Log is what is verified.
type Log struct {
	Events, Snapshots events.Stream
	// Start is the state to fold from: a checkpoint, or the empty state where
	// EVENTS reaches back to its beginning.
	Start *fold.State
	// Versions are read from here: from the beginning, or from a checkpoint.
	Versions *routing.Follower
	// Marks are the chains that the checkpoints of the fold carry, in order.
	Marks []Mark
}

// Mark is the chain over all events up to one.
type Mark = checkpoint.Mark

// OpenLog prepares the verification of all that a log holds. Close Versions when done.
func OpenLog(ctx context.Context, stream, snapshots events.Stream, folds, versions events.Bucket) (Log, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return Log{}, fmt.Errorf("open EVENTS: %w", err)
	}
	start, err := checkpoint.LoadFirst(ctx, folds, info)
	if err != nil {
		return Log{}, err
	}
	follower, err := routing.FollowFirst(ctx, snapshots, versions)
	if err != nil {
		return Log{}, err
	}
	marks, err := checkpoint.Marks(ctx, folds, info)
	if err != nil {
		follower.Close()
		return Log{}, err
	}
	return Log{Events: stream, Snapshots: snapshots, Start: start, Versions: follower, Marks: marks}, nil
}

// Report is the outcome of [Verify].
type Report struct {
	// Events and Versions are how many were folded and compared; Scratch is how
	// many of the versions were compared with a projection from nothing too.
	Events   int `json:"events"`
	Versions int `json:"versions"`
	Scratch  int `json:"fromScratch"`
	// Skipped are versions that cannot be compared: of another incarnation of
	// EVENTS, or before the first state that can be folded.
	Skipped int `json:"skipped"`
	// Findings are what is wrong, in the order of the versions. Previews are
	// differences under another fold version, which say what an upgrade changes.
	Findings []Finding `json:"findings,omitempty"`
	Previews []Finding `json:"previews,omitempty"`
}

// Finding is one thing that does not come out as it was published.
type Finding struct {
	Version events.Version `json:"version"`
	// What differs: "gateway namespace/name", "verdicts", "events", or the version as a whole.
	What   string `json:"what"`
	Detail string `json:"detail"`
}

// scratchBudget is how many objects may be projected from nothing, and one more for
// every scratchEvery events. While it lasts every version is, then those at which it
// pays out, and the last.
const (
	scratchBudget = 50_000
	scratchEvery  = 20
)

// maxFindings ends a verification that finds nothing but differences.
const maxFindings = 100

// Verify folds the log again and compares every published version with what
// comes out. The error is for a log that cannot be read.
func Verify(ctx context.Context, log Log, progress func(Report)) (*Report, error) {
	info, err := log.Events.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("verify: open EVENTS: %w", err)
	}
	snapshots, err := log.Snapshots.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("verify: open SNAPSHOTS: %w", err)
	}
	v := &verifier{
		report: &Report{}, incarnation: info.Incarnation, start: log.Start.Version.Sequence,
		engine: FromState(log.Start), state: routing.NewState(), budget: scratchBudget,
	}
	v.sound = place{log.Start.Version.Sequence, log.Start.Time}
	v.events = &cursor{reader: log.Events.Reader(log.Start.Version.Sequence + 1), last: info.Last}
	for _, m := range log.Marks {
		if m.Sequence > v.start {
			v.marks = append(v.marks, m)
		}
	}
	defer v.events.reader.Close()
	for len(v.report.Findings) < maxFindings {
		batch, err := log.Versions.NextUntil(ctx, snapshots.Last)
		if err == nil && len(batch) == 0 {
			break
		}
		switch err := v.versions(ctx, batch, err); {
		case errors.Is(err, errUncomparable):
			return v.report, nil
		case err != nil:
			return nil, fmt.Errorf("verify: %w", err)
		}
		progress(*v.report)
	}
	v.compareScratch()
	return v.report, nil
}

// errUncomparable ends a verification after a finding behind which nothing can
// be compared, because what was published or what to fold is not known.
var errUncomparable = errors.New("nothing after this can be compared")

type verifier struct {
	report      *Report
	incarnation string
	start       uint64
	engine      *Engine
	events      *cursor
	state       *routing.State
	budget      int
	compared    bool // whether the newest version was compared from nothing
	// marks are the checkpoints that lie ahead. sound is up to where the events are as
	// the last version or checkpoint says.
	marks []Mark
	sound place
}

// place is an event, and when it was observed.
type place struct {
	sequence uint64
	time     time.Time
}

func (p place) String() string {
	if p.sequence == 0 {
		return "the beginning"
	}
	return fmt.Sprintf("%d of %s", p.sequence, p.time.UTC().Format(time.RFC3339))
}

// versions compares a batch of versions; readErr is what reading it ended with.
func (v *verifier) versions(ctx context.Context, batch []*routing.Snapshot, readErr error) error {
	switch {
	case errors.Is(readErr, routing.ErrFormat), errors.Is(readErr, routing.ErrDigest):
		v.find("version", readErr.Error())
		return errUncomparable
	case readErr != nil:
		return readErr
	}
	for _, snap := range batch {
		if err := v.version(ctx, snap); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) version(ctx context.Context, snap *routing.Snapshot) error {
	if snap.Previous.IsZero() {
		v.state = routing.NewState()
	}
	if err := v.state.Apply(snap); err != nil {
		v.state.Version = snap.Version
		v.find("version", err.Error())
		return errUncomparable
	}
	if snap.Version.Incarnation != v.incarnation || snap.Version.Sequence < v.start {
		v.report.Skipped++
		return nil
	}
	err := v.foldTo(ctx, snap.Version.Sequence)
	if errors.Is(err, events.ErrGap) {
		v.find("events", fmt.Sprintf("events between %s and this version are lost: %v", v.sound, err))
		return errUncomparable
	} else if errors.Is(err, fold.ErrOrder) || errors.Is(err, fold.ErrUnknownType) || errors.Is(err, events.ErrEnvelope) {
		v.find("events", err.Error())
		return errUncomparable
	} else if err != nil {
		return err
	}
	v.report.Versions++
	v.engine.Project()
	if at := v.engine.State(); at.Version != snap.Version {
		v.find("events", fmt.Sprintf("the log ends at %s, before this version", at.Version))
		return errUncomparable
	}
	v.check(Mark{Sequence: snap.Version.Sequence, Time: snap.Time, Chain: snap.Chain}, "this version")
	published := ContentOf(v.state)
	for _, what := range published.Differences(v.engine.Content()) {
		v.find(what, "refolding gives other content than was published")
	}
	v.compared = false
	if v.budget > 0 {
		v.compareScratch()
	}
	return nil
}

// foldTo folds the events up to a sequence, and checks the checkpoints on the way.
func (v *verifier) foldTo(ctx context.Context, sequence uint64) error {
	for {
		until := sequence
		if len(v.marks) > 0 {
			until = min(until, v.marks[0].Sequence)
		}
		folded, err := v.events.foldTo(ctx, v.engine, until)
		v.report.Events += folded
		v.budget += v.report.Events/scratchEvery - (v.report.Events-folded)/scratchEvery
		if err != nil {
			return err
		}
		if len(v.marks) > 0 && v.marks[0].Sequence == v.engine.State().Version.Sequence {
			v.check(v.marks[0], "the checkpoint at "+place{v.marks[0].Sequence, v.marks[0].Time}.String())
			v.marks = v.marks[1:]
		}
		if until == sequence {
			return nil
		}
	}
}

// check compares the chain over the events folded with what was written down then. What
// follows is held to that, so that the next fault is found too.
func (v *verifier) check(m Mark, who string) {
	at := v.engine.State()
	if at.Chain != m.Chain {
		v.find("events", fmt.Sprintf("between %s and %d of %s an event was altered, lost or moved: the chain over all events is %s, that of %s is %s",
			v.sound, m.Sequence, m.Time.UTC().Format(time.RFC3339), at.Chain.Short(), who, m.Chain.Short()))
		at.Chain = m.Chain
	}
	v.sound = place{m.Sequence, m.Time}
}

// compareScratch projects the state from nothing, without the incremental index.
func (v *verifier) compareScratch() {
	if v.compared || v.report.Versions == 0 {
		return
	}
	v.compared = true
	s := v.engine.State()
	v.budget -= len(s.Keys())
	scratch := FromState(s)
	scratch.Project()
	v.report.Scratch++
	for _, what := range v.engine.Content().Differences(scratch.Content()) {
		v.find(what, "the incremental projection differs from one made from nothing")
	}
}

func (v *verifier) find(what, detail string) {
	f := Finding{Version: v.state.Version, What: what, Detail: detail}
	if v.state.FoldVersion != 0 && v.state.FoldVersion != fold.Version && what != "events" && what != "version" {
		f.Detail += fmt.Sprintf(" (published under fold version %d, this build has %d)", v.state.FoldVersion, fold.Version)
		v.report.Previews = append(v.report.Previews, f)
		return
	}
	v.report.Findings = append(v.report.Findings, f)
}

// cursor reads EVENTS as far as it is asked to.
type cursor struct {
	reader  events.Reader
	pending []events.Message
	last    uint64 // of EVENTS when the verification began
}

// foldTo folds the events up to sequence, if the log has them, and says how many.
func (c *cursor) foldTo(ctx context.Context, e *Engine, sequence uint64) (int, error) {
	folded := 0
	for e.State().Version.Sequence < min(sequence, c.last) {
		if len(c.pending) == 0 {
			var err error
			if c.pending, err = c.reader.Next(ctx); err != nil {
				return folded, fmt.Errorf("read EVENTS: %w", err)
			}
		}
		m := c.pending[0]
		if m.Sequence > sequence {
			return folded, nil
		}
		c.pending = c.pending[1:]
		ev, err := events.Decode(m)
		if err != nil {
			return folded, err
		}
		if err := e.Fold(ev); err != nil {
			return folded, err
		}
		folded++
	}
	return folded, nil
}
