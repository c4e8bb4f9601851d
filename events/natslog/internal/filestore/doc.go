// Package filestore reads what nats-server keeps in a data directory, and says
// what of it is lost or altered, before a server opens it.
//
//	<dir>/jetstream/$G/streams/<name>/{meta.inf, meta.sum, msgs/<n>.blk}  +  marks  ──►  nil, or a Damage
//
// It is needed because the server repairs in silence: it cuts a block at the
// first record that does not check out, and passes over a stream whose meta.inf
// does not, with a line in its log. Afterwards nobody can tell what was there.
//
// The package promises to notice: a flipped byte in any record, a block that was
// truncated or removed, a stream that was removed, a damaged meta.inf. Sequences
// that are missing at the end are known by the marks, which the owner writes every
// second and when it stops. It accepts what a crash leaves: one unfinished record
// at the very end, beyond the mark. It refuses to change anything but
// the marks.
//
// The format is that of nats-server 2.15 (server/filestore.go, unencrypted and
// uncompressed as Rutter runs it); the tests of natslog run on stores that the
// server in go.mod has written, so a change of format fails them.
//
// Read check.go first, then block.go and marks.go.
package filestore
