// Package proto stands in for the real one.
package proto

type Message interface{ ProtoMessage() }

type MarshalOptions struct{ Deterministic bool }

func (MarshalOptions) Marshal(Message) ([]byte, error) { return nil, nil }

func Marshal(Message) ([]byte, error) { return nil, nil }
