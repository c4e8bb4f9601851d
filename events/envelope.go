package events

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Type says what an event reports. The values are CloudEvents types.
type Type string

// The event types. Their payloads: the object for applied, baseline and
// deleted (its last state, as far as it is known); [EpochOpened]; [Sync]
// for both sync types; [Verdict]; [TimeReached]; [ActorObserved];
// [PinnedRouting].
const (
	ObjectApplied  Type = "dev.rutter.object.applied"
	ObjectDeleted  Type = "dev.rutter.object.deleted"
	ObjectBaseline Type = "dev.rutter.object.baseline"
	TypeSyncStart  Type = "dev.rutter.sync.started"
	TypeSyncDone   Type = "dev.rutter.sync.completed"
	TypeEpoch      Type = "dev.rutter.epoch.opened"
	TypeTime       Type = "dev.rutter.time.reached"
	TypeVerdict    Type = "dev.rutter.verdict"
	TypeActor      Type = "dev.rutter.actor.observed"
	TypePinned     Type = "dev.rutter.routing.pinned"
)

// EnvelopeVersion is the version of the envelope that this build writes, in the
// CloudEvents extension attribute "envelope".
const EnvelopeVersion = 1

// ErrEnvelope is returned for a message whose envelope this build cannot read.
var ErrEnvelope = errors.New("unreadable event envelope")

// Event is one thing that happened, with its meaning decoded and its payload as
// it was recorded.
type Event struct {
	// ID is <uid>/<resourceVersion> for objects: ce-id and the message id.
	ID   string
	Type Type
	// Cluster is where it happened: ce-source.
	Cluster string
	Key     Key
	// Time is when it was observed, in UTC with nanoseconds.
	Time time.Time
	// Epoch is the epoch of the writer that recorded it.
	Epoch uint64
	// Data is the payload: JSON.
	Data []byte

	// Sequence is the position in its stream; 0 before it is appended.
	Sequence uint64
}

// Header names: CloudEvents 1.0, NATS protocol binding, binary content mode.
const (
	headerSpec        = "ce-specversion"
	headerID          = "ce-id"
	headerType        = "ce-type"
	headerSource      = "ce-source"
	headerSubject     = "ce-subject"
	headerTime        = "ce-time"
	headerEnvelope    = "ce-envelope"
	headerEpoch       = "ce-epoch"
	headerContentType = "content-type"
)

// Encode is the stored form of an event.
func Encode(e Event) Message {
	return Message{
		Subject: subjectOf(e),
		ID:      e.ID,
		Data:    e.Data,
		Header: map[string]string{
			headerSpec:        "1.0",
			headerID:          e.ID,
			headerType:        string(e.Type),
			headerSource:      e.Cluster,
			headerSubject:     e.Key.String(),
			headerTime:        e.Time.UTC().Format(time.RFC3339Nano),
			headerEnvelope:    strconv.Itoa(EnvelopeVersion),
			headerEpoch:       strconv.FormatUint(e.Epoch, 10),
			headerContentType: "application/json",
		},
		Permanent: e.Type == TypeEpoch,
		Sequence:  e.Sequence,
	}
}

// Decode reads a stored event. The error wraps [ErrEnvelope] and names the
// sequence, the header and the way out.
func Decode(m Message) (Event, error) {
	bad := func(header, why string) (Event, error) {
		return Event{}, fmt.Errorf("%w: message %d on %s: header %s: %s", ErrEnvelope, m.Sequence, m.Subject, header, why)
	}
	if v := m.Header[headerEnvelope]; v != strconv.Itoa(EnvelopeVersion) {
		return bad(headerEnvelope, fmt.Sprintf("version %q, this build reads %d; use the release that wrote it, or a newer one", v, EnvelopeVersion))
	}
	if v := m.Header[headerSpec]; v != "1.0" {
		return bad(headerSpec, fmt.Sprintf("CloudEvents version %q, want 1.0", v))
	}
	// A key outlives the message, the header of which is one string.
	key, err := ParseKey(strings.Clone(m.Header[headerSubject]))
	if err != nil {
		return bad(headerSubject, err.Error())
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header[headerTime])
	if err != nil {
		return bad(headerTime, err.Error())
	}
	epoch, err := strconv.ParseUint(m.Header[headerEpoch], 10, 64)
	if err != nil {
		return bad(headerEpoch, err.Error())
	}
	e := Event{
		ID: m.Header[headerID], Type: Type(m.Header[headerType]), Cluster: m.Header[headerSource],
		Key: key, Time: at.UTC(), Epoch: epoch, Data: m.Data, Sequence: m.Sequence,
	}
	if e.ID == "" {
		return bad(headerID, "is empty")
	}
	if want := subjectOf(e); want != m.Subject {
		return bad(headerSubject, fmt.Sprintf("names %s, which belongs on %s", key, want))
	}
	return e, nil
}
