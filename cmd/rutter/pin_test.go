package main

import (
	"strconv"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
)

// pin records a RoutingPin for the Gateway default/gw, and what ingest records beside it.
func (p *past) pin(version string) {
	p.t.Helper()
	sequence, err := strconv.ParseUint(version, 10, 64)
	must(p.t, err)
	bucket, err := p.log.Bucket(p.t.Context(), routing.CheckpointBucket)
	must(p.t, err)
	at := events.Version{Incarnation: p.incarnation, Sequence: sequence}
	follower, err := routing.FollowAt(p.t.Context(), p.snapshots, bucket, at)
	must(p.t, err)
	defer follower.Close()
	state, err := follower.LoadAt(p.t.Context(), at)
	must(p.t, err)
	content := routing.Pinned(state, "default/gw")
	pin := newPin("default/gw", content, "the incident")
	key := keyOfPin(pin)
	pin.UID, pin.Generation = "pin", 1
	pin.CreationTimestamp.Time = p.now
	p.record(events.ObjectApplied, key, pin)
	parts, err := routing.EncodePinned(events.PinnedRouting{Gateway: "default/gw", Version: pin.Spec.Version, Digest: pin.Spec.Digest}, content, 1<<20)
	must(p.t, err)
	for _, part := range parts {
		p.record(events.TypePinned, key, part)
	}
}
