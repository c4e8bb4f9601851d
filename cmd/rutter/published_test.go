package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// publishedVersions is a line for each published version: its name and what it adds up to.
func publishedVersions(t *testing.T, log events.Log) string {
	t.Helper()
	stream, err := log.Stream(t.Context(), events.StreamConfig{Name: events.StreamSnapshots})
	must(t, err)
	info, err := stream.Info(t.Context())
	must(t, err)
	var out strings.Builder
	state := routing.NewState()
	var parts routing.Assembler
	for sequence := uint64(1); sequence <= info.Last; sequence++ {
		m, err := stream.Get(t.Context(), sequence)
		must(t, err)
		snap, err := parts.Add(m)
		must(t, err)
		if snap == nil {
			continue
		}
		must(t, state.Apply(snap))
		fmt.Fprintf(&out, "%s verdicts %s", snap.Version, state.VerdictDigest.Short())
		for _, g := range snap.Gateways {
			fmt.Fprintf(&out, " %s %s", g.Gateway, g.Digest.Short())
		}
		out.WriteByte('\n')
	}
	return out.String()
}
