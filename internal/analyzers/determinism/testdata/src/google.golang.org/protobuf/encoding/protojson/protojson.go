// Package protojson stands in for the real one.
package protojson

import "google.golang.org/protobuf/proto"

func Format(proto.Message) string { return "" }
