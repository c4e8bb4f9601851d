package manifests

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// Source is where a document stands.
type Source struct {
	// File is the path below the directory, with slashes.
	File string
	// Document counts the documents of the file from 1; 0 means the file as a whole.
	Document int
	// Line is where the document begins, from 1.
	Line int
}

// String is file:line (document n).
func (s Source) String() string {
	if s.Document == 0 {
		return s.File
	}
	return fmt.Sprintf("%s:%d (document %d)", s.File, s.Line, s.Document)
}

// Object is an object that is now in force.
type Object struct {
	Key events.Key
	// Object is its content, without uid, resourceVersion, generation and
	// creationTimestamp. It is the caller's; integers are int64.
	Object map[string]any
	// Hash is normalize.Hash of the content.
	Hash   routing.Digest
	Source Source

	// encoded is the content until the object is handed on.
	encoded []byte
}

// Problem is a document (or file) that is refused. What it last said well stays
// in force.
type Problem struct {
	Source Source
	// Key is the object it is about; zero if that cannot be read.
	Key events.Key
	// Message has the words of the API server.
	Message string
}

// Notice is a document of a kind that is not read.
type Notice struct {
	Source  Source
	Message string
}

// Changes is what one batch of file changes came to. What others refer to stands
// first in Applied (Namespaces, Secrets, Services, … Gateways, routes) and last
// in Deleted; within a resource both are ordered by key. What is large comes in
// parts, the rest of it last.
type Changes struct {
	Applied []Object
	Deleted []events.Key
	// Problems and Notices are those that are new. Reader.Problems has all.
	Problems []Problem
	Notices  []Notice
	// More says that the next part of this batch is there already.
	More bool
}

// Empty tells whether there is nothing to do and nothing to say.
func (c Changes) Empty() bool {
	return len(c.Applied)+len(c.Deleted)+len(c.Problems)+len(c.Notices) == 0
}

func (c *Changes) sort() {
	slices.SortFunc(c.Applied, func(a, b Object) int { return compareKeys(a.Key, b.Key) })
	slices.SortFunc(c.Deleted, func(a, b events.Key) int {
		return cmp.Or(cmp.Compare(order(b.Resource), order(a.Resource)), a.Compare(b))
	})
}

func compareKeys(a, b events.Key) int {
	return cmp.Or(cmp.Compare(order(a.Resource), order(b.Resource)), a.Compare(b))
}

// Recorded is an object that was in force before the reader started, as the
// caller's durable index has it. With these, what vanished while nobody watched
// is a deletion, and what is broken on start keeps its last good version.
type Recorded struct {
	Key events.Key
	// File is the Source.File it came from.
	File string
	// Hash is that of the Object it was; without it the object is applied again.
	Hash routing.Digest
	// Object is needed where a schema has rules about updates (GatewayClass).
	Object map[string]any
}

// Accepted is a document that was found good, by what it says rather than by
// where it stands. Of no use to another build: its schemas and defaults may differ.
type Accepted struct {
	// Text is the SHA-256 of the document.
	Text routing.Digest `json:"text"`
	Key  events.Key     `json:"key"`
	// Hash is that of the Object that it is.
	Hash routing.Digest `json:"hash"`
}

// describe names an object for people: httproutes default/r.
func describe(key events.Key) string {
	return strings.TrimSpace(key.Resource + " " + strings.TrimPrefix(key.Namespace+"/"+key.Name, "/"))
}
