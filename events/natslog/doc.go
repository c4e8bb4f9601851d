// Package natslog is the log of package events on NATS JetStream: on a cluster
// ([Connect]) or on a server inside this process ([StartServer], [OpenDataDir]).
// Nothing else in Rutter imports nats.go or nats-server.
//
//	Append ──fence──► stream (file, R1 or R3) ──pull consumer──► Reader
//	Acquire ──compare-and-set──► guard message;  holder ──heartbeat, unstored──► standby
//
// It promises:
//
//   - Ordered, unique, complete: a Reader hands out every message once, in order,
//     through failovers, lost deliveries and stalled consumers, or says ErrGap.
//   - Fenced: each append carries the exact last sequence of the stream, and a
//     writer has one append under way at a time. So it is refused once anybody
//     else has written. (Two appends under way with predicted sequences would not
//     be: when the first is refused because a new holder's guard took its place,
//     the second finds just the sequence that it expects.)
//   - Definite: an append whose answer was lost is settled by reading back from
//     the leader before it is tried again.
//   - A data directory with lost or altered bytes is refused before the server
//     opens it, and so before the server would cut it to what it can read.
//
// It refuses to remove single messages: what lies between First and Last of a
// stream is there.
//
// Read stream.go first, then writer.go, lease.go and reader.go; server.go and
// datadir.go for the embedded server.
package natslog
