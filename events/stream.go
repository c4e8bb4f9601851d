package events

import (
	"errors"
	"time"
)

// Names of the streams. Each has one writing role: ingest writes EVENTS and
// ENDPOINTS, the projector SNAPSHOTS, every xDS server RECEIPTS, and every ingest,
// also one that stands by, ACTORS.
const (
	StreamEvents    = "EVENTS"
	StreamEndpoints = "ENDPOINTS"
	StreamSnapshots = "SNAPSHOTS"
	StreamReceipts  = "RECEIPTS"
	StreamActors    = "ACTORS"
)

// Message is one message of a stream, as stored.
type Message struct {
	Subject string
	Header  map[string]string
	Data    []byte

	// ID lets [Stream.Publish] recognise a message that was published a moment
	// ago. It saves work; correctness comes from fences (invariant 8), so a
	// [Writer] records every message that it is given, whatever its ID.
	ID string

	// Permanent keeps the message from ageing out: for guards, without which
	// nobody could append any more.
	Permanent bool

	// Sequence and Stored are assigned by the log, from 1 and in UTC.
	Sequence uint64
	Stored   time.Time
}

// StreamConfig says what a stream keeps. The zero limits mean "no limit".
type StreamConfig struct {
	Name     string
	Subjects []string
	MaxAge   time.Duration
	MaxBytes int64
	// Replicas is 1 on a single server and 3 in a cluster; 0 means 1.
	Replicas int
	// DiscardOld drops the oldest messages when MaxBytes is reached. Without it an
	// append fails with [ErrFull]: history is not lost in silence.
	DiscardOld bool
}

// Streams are the definitions of all streams of a cluster, with their default
// retention: 30 days of EVENTS, SNAPSHOTS and ACTORS, 3 of ENDPOINTS, 7 of RECEIPTS.
// What is written beside the routing drops its oldest when it is full: it never stops
// what it is beside.
func Streams(replicas int) []StreamConfig {
	const day = 24 * time.Hour
	return []StreamConfig{
		{Name: StreamEvents, Subjects: []string{eventsPrefix + ">"}, MaxAge: 30 * day, Replicas: replicas},
		{Name: StreamEndpoints, Subjects: []string{endpointsPrefix + ">"}, MaxAge: 3 * day, Replicas: replicas},
		{Name: StreamSnapshots, Subjects: []string{snapshotsPrefix + ">"}, MaxAge: 30 * day, Replicas: replicas},
		{Name: StreamReceipts, Subjects: []string{receiptsPrefix + ">"}, MaxAge: 7 * day, MaxBytes: 1 << 30, Replicas: replicas, DiscardOld: true},
		{Name: StreamActors, Subjects: []string{actorsPrefix + ">"}, MaxAge: 30 * day, MaxBytes: 1 << 30, Replicas: replicas, DiscardOld: true},
	}
}

// StreamInfo is the state of a stream at one moment.
type StreamInfo struct {
	// Incarnation is the stream's own id, new whenever the stream is rebuilt.
	Incarnation string
	// First and Last are the sequences of its oldest and newest message. Where
	// there is none, First is Last + 1. Everything from First to Last is there;
	// permanent messages that outlived what lay between are not counted.
	First, Last uint64
	// Bytes is what the messages take up.
	Bytes uint64
	// MaxData is how many bytes of Data a message may have for certain; the rest
	// of what the log accepts is left for its header.
	MaxData int
}

// Errors of a log. Test with errors.Is.
var (
	// ErrFenced: the stream holds a message that this writer did not write;
	// another writer took over, and nothing of the append was stored.
	ErrFenced = errors.New("another writer has taken over the stream")
	// ErrFull: the stream has reached its size limit or its disk is full.
	ErrFull = errors.New("the stream is full")
	// ErrTooLarge: a message is larger than the log accepts.
	ErrTooLarge = errors.New("the message is larger than the log accepts")
	// ErrNotFound: there is no such message or stored object.
	ErrNotFound = errors.New("not found in the log")
	// ErrGap: the stream no longer holds the sequence to read from; start from a checkpoint.
	ErrGap = errors.New("the log no longer reaches back that far")
	// ErrClosed: the log, or the reader, was closed.
	ErrClosed = errors.New("the log is closed")
	// ErrDamaged: bytes of the log are lost or altered. The text names the file,
	// the sequences and the way out.
	ErrDamaged = errors.New("the log is damaged")
)
