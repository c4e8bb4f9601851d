// Package files keeps the statuses of objects as files, where there is no API
// server to show them.
//
//	Apply ──► <dir>/<resource>/<namespace or ->/<name>.yaml
//
// A file holds what `kubectl get -o yaml` would show of the object's identity and
// status. It is replaced as a whole or not at all, only when something in it is
// new, and is gone when the object has no status any more. What is there at the
// start is read, so that lastTransitionTime survives a restart; from then on the
// directory belongs to this process.
//
// Read files.go first.
package files
