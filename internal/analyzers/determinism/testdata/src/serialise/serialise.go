// Package serialise makes bytes that differ from run to run.
package serialise

import (
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

func random(m proto.Message) ([]byte, error) { return proto.Marshal(m) } // want `proto.Marshal orders map fields at random`

func wrapped(m proto.Message) (*anypb.Any, error) { return anypb.New(m) } // want `anypb.New orders map fields at random`

func unstable(m proto.Message) string { return protojson.Format(m) } // want `protojson.Format is unstable by design`

func fine(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}
