// Package display puts answers on a terminal or into a pipe.
//
//	Rows ──Write──► aligned columns      any value ──Write──► JSON or YAML
//
// Columns are aligned by what is seen, so that colour moves nothing. It promises
// the same bytes for the same answer, and colours only where it is told to.
// Read table.go first.
package display
