package events

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Log is where messages are kept. natslog keeps them on NATS JetStream, memlog
// in memory; both pass the suite of logtest. The interfaces are declared here,
// and not by each user, only so that the two satisfy whatever smaller interface
// a user declares over these methods.
type Log interface {
	// Stream opens a stream, creates it where it does not exist, and brings its
	// limits to those of c. With no Subjects it is opened as it is, and
	// [ErrNotFound] when there is none.
	Stream(ctx context.Context, c StreamConfig) (Stream, error)
	// Bucket opens, or creates, the object store name.
	Bucket(ctx context.Context, name string) (Bucket, error)
	// Announce says a message to whoever listens to its subject now. It is not
	// stored, may get lost, and is an error only where it could not be sent.
	Announce(ctx context.Context, m Message) error
	// Listen hears what is announced from now on, on one subject, or with a last
	// token of "*" on all that differ in it.
	Listen(ctx context.Context, subject string) (Listener, error)
	// Close ends all use of the log. Readers and writers get errors from then on.
	Close()
}

// Stream is one totally ordered sequence of messages.
type Stream interface {
	// Info is the present state, as the leader of the stream knows it.
	Info(ctx context.Context) (StreamInfo, error)
	// Get is the message at sequence, Last the newest one on subject; both are
	// linearizable. [ErrNotFound] when there is none.
	Get(ctx context.Context, sequence uint64) (Message, error)
	Last(ctx context.Context, subject string) (Message, error)
	// Reader reads from sequence from on; from 0, from the oldest message there is.
	Reader(from uint64) Reader
	// Publish appends without a fence, for streams with many writers. Within two
	// minutes a message with the same ID is stored once. last is the sequence of
	// the last one.
	Publish(ctx context.Context, messages ...Message) (last uint64, err error)
	// Acquire waits until this process may write the stream, and opens a new
	// epoch by recording c.Open. Whatever the holder before recorded lies ahead of
	// that message, and nothing of it comes after.
	Acquire(ctx context.Context, c LeaseConfig) (Writer, error)
}

// Reader hands out the messages of a stream in order, each once. Use it from one
// goroutine; end a Next by its ctx.
type Reader interface {
	// Next waits until there is at least one message, and returns all that are
	// there (at most 5,000, or about 2 MiB) without waiting for more: under load
	// batches grow by themselves. It outlives stalls and failovers.
	//
	// [ErrGap] when a message is no longer (or not yet) there that the reader
	// should have begun or gone on with. A reader from 0 begins with what there is.
	Next(ctx context.Context) ([]Message, error)
	Close()
}

// Listener hands out announcements. Use it from one goroutine; end a Next by its ctx.
type Listener interface {
	// Next waits until there is at least one message, and returns all that are there.
	// Of a listener that is slow, the log drops what is beyond a bound.
	Next(ctx context.Context) ([]Message, error)
	Close()
}

// Writer appends to a stream in one epoch.
//
// Both appends answer for certain while ctx lives: nil when everything is
// recorded, exactly once and in order; otherwise [ErrFenced] (another writer took
// over: nothing from the refused message on is stored), [ErrTooLarge] (nothing
// is stored), [ErrFull] (the writer stays usable), or a lasting refusal of the
// log. When ctx ends while an answer is out, the outcome is unknown and the
// writer is lost: acquire anew, and read what is there.
type Writer interface {
	Epoch() uint64
	// Append records messages in order. After an error a prefix may be stored:
	// those up to last, the sequence of the last message that this writer recorded.
	Append(ctx context.Context, messages ...Message) (last uint64, err error)
	// AppendAtomic records all of at most [MaxAtomic] messages or none.
	AppendAtomic(ctx context.Context, messages ...Message) (last uint64, err error)
	// Lost is closed when the epoch is over: taken by another writer, or closed.
	Lost() <-chan struct{}
	// Close gives up the lease at once, so that a standby need not wait.
	Close(ctx context.Context) error
}

// Bucket keeps named bytes, such as checkpoints.
type Bucket interface {
	// Put replaces what name holds.
	Put(ctx context.Context, name string, data []byte) error
	// Get is what was put last, checked against its digest; or [ErrNotFound].
	Get(ctx context.Context, name string) ([]byte, error)
	// List is the names, sorted.
	List(ctx context.Context) ([]string, error)
	// Delete removes name; no error when there is none.
	Delete(ctx context.Context, name string) error
}

// MaxAtomic is how many messages an atomic append takes.
const MaxAtomic = 1000

// MaxBatch and MaxBatchBytes bound what one [Reader.Next] returns; one message
// beyond MaxBatchBytes is still returned.
const (
	MaxBatch      = 5000
	MaxBatchBytes = 2 << 20
)

// LeaseConfig says who wants to write a stream, and how the holder is known to live.
type LeaseConfig struct {
	Cluster string
	// Holder names this process for people, such as a pod name.
	Holder string
	// Heartbeat is how often the holder says that it lives, and Dead the silence
	// after which a standby takes over. 100 ms and 300 ms when zero.
	Heartbeat, Dead time.Duration
	// Sole takes over without waiting for a silence. Only for a process that
	// cannot have a rival, because the data directory is locked for it.
	Sole bool
	// Open is the message that opens an epoch. It goes to the [GuardSubject] of
	// the stream, carries the epoch in its envelope, and is Permanent: Encode of
	// an event of [TypeEpoch] with [EpochKey] is all that.
	Open func(epoch uint64) Message
}

// WithDefaults checks c for the stream and fills in what is zero.
func (c LeaseConfig) WithDefaults(stream string) (LeaseConfig, error) {
	if c.Heartbeat == 0 {
		c.Heartbeat = 100 * time.Millisecond
	}
	if c.Dead == 0 {
		c.Dead = 300 * time.Millisecond
	}
	switch {
	case c.Cluster == "" || c.Holder == "":
		return c, errors.New("lease needs a cluster and a holder")
	case c.Open == nil:
		return c, errors.New("lease needs the message that opens an epoch")
	case c.Heartbeat < 0 || c.Dead < 0:
		return c, errors.New("lease has a negative duration")
	}
	m := c.Open(1)
	if want := GuardSubject(stream, c.Cluster); m.Subject != want {
		return c, fmt.Errorf("epoch of %s opens on subject %q, want %q", stream, m.Subject, want)
	}
	if epoch, err := Decode(m); err != nil {
		return c, err
	} else if epoch.Epoch != 1 || !m.Permanent {
		return c, fmt.Errorf("message that opens epoch 1 of %s is not permanent or says epoch %d", stream, epoch.Epoch)
	}
	return c, nil
}
