// Package manifests reads a directory of manifests as the API server would, and
// watches it.
//
//	files ──split──► documents ──decode──► verdicts ──set──► Changes
//	  ▲                                       ▲
//	  └── fsnotify, read when no one writes   └── schemas and CEL rules of the
//	                                              CRDs that gateway-api ships
//
// [Reader.Next] first returns everything there is and then one [Changes] per
// batch: objects to apply, objects to delete, and what is wrong. What is large
// comes in parts. No content is kept of what was handed on: the files have it.
//
// The package promises:
//
//   - An object is handed on defaulted, pruned and validated as by kubectl create,
//     in the storage form of one version (v1), normalised (see normalize). A refusal
//     is worded as the API server words it, with file, document and line.
//   - The last good version stays in force. A document that is refused neither
//     applies nor deletes anything; a file that cannot be read keeps all its
//     objects; while a document does not even tell what it is about, no object of
//     its file is deleted; a directory that is missing or unreadable is not empty.
//   - A half-written file is never read, and an object that vanished is deleted only
//     if it has not come back after the settle time, in this or in another file.
//   - Of two documents about one object the first in (file, document) order counts;
//     the other one is a problem.
//   - The cost of a change is that of the documents that changed.
//
// It refuses to mint uid, resourceVersion, generation or creationTimestamp, to
// record anything, and to know what an object means for routing. Rules about
// updates are evaluated for custom resources (oldSelf) and not for built-in
// kinds. Of the built-in kinds' validation it has what concerns routing.
//
// Read manifests.go first (what comes out), then reader.go (when), set.go (which
// object is in force) and custom.go (validation).
package manifests
