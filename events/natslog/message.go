package natslog

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rutter-gateway/rutter/events"
)

const (
	// headerID keeps Message.ID. It is not Nats-Msg-Id, because JetStream drops a
	// message whose id it has seen within the window, and what a fenced writer
	// hands over is meant to be recorded: a deletion may carry the id of the last
	// change, and a sync bracket that of the sync before.
	headerID = "Rutter-Id"
	// serverHeaders begin the headers that are JetStream's own.
	serverHeaders = "Nats-"
	// headerRoom is what MaxData leaves for the header of a message.
	headerRoom = 16 << 10
)

// encode is m as it is sent. dedupe is the id by which the server recognises a
// repetition; empty for none.
func encode(m events.Message, dedupe string) *nats.Msg {
	out := nats.NewMsg(m.Subject)
	out.Data = m.Data
	for k, v := range m.Header {
		out.Header[k] = []string{v}
	}
	if m.ID != "" {
		out.Header[headerID] = []string{m.ID}
	}
	if dedupe != "" {
		out.Header[jetstream.MsgIDHeader] = []string{dedupe}
	}
	if m.Permanent {
		out.Header[jetstream.MsgTTLHeader] = []string{"never"}
	}
	return out
}

// decode undoes encode.
func decode(subject string, header nats.Header, data []byte, sequence uint64, stored time.Time) events.Message {
	m := events.Message{
		Subject: subject, Data: data, Sequence: sequence, Stored: stored.UTC(),
		Permanent: header.Get(jetstream.MsgTTLHeader) == "never",
		Header:    make(map[string]string, len(header)),
	}
	for k, v := range header {
		switch {
		case len(v) == 0 || strings.HasPrefix(k, serverHeaders):
		case k == headerID:
			m.ID = v[0]
		default:
			m.Header[k] = v[0]
		}
	}
	return m
}

func decodeRaw(raw *jetstream.RawStreamMsg) events.Message {
	return decode(raw.Subject, raw.Header, raw.Data, raw.Sequence, raw.Time)
}
