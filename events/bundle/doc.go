// Package bundle is the form in which a part of a log travels: one file, from which
// the messages come out byte for byte as they were.
//
//	Writer:  header ─► checkpoints ─► messages of each stream ─► trailer      one JSON line each, in zstd frames
//	Open:    trailer ─► which frame holds what ─► File, an [events.Log] that is read only
//
// A line is a CloudEvent in structured mode, so that other tools can read it:
// `zstd -dc FILE` shows all of it. A frame holds about 1 MiB of lines of one stream;
// the trailer says where each begins, and ahead of what digest it lies.
//
// The package promises that what is read is what was written: a file that is cut
// off, altered or put together otherwise is refused when it is opened, in one line,
// as is one of a newer format. It needs memory for one frame and the list of frames,
// however long the file is; but a checkpoint is a line, and is held whole. It refuses
// to decide what goes into a bundle; that is the caller's, and so is leaving out
// private keys.
//
// Read format.go first, then line.go, writer.go, file.go and log.go.
package bundle
