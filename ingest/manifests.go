package ingest

import (
	"context"
	"slices"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/manifests"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// manifestOrigin is a directory of manifests as an origin of objects.
type manifestOrigin struct {
	config Config
	read   func(manifests.Config) (manifestReader, error)
}

// manifestReader is a [manifests.Reader]. The first Next holds what differs from
// what is recorded, each other one what changed.
type manifestReader interface {
	Next(ctx context.Context) (manifests.Changes, error)
	Problems() []manifests.Problem
	Accepted() []manifests.Accepted
	Close() error
}

func openManifests(c manifests.Config) (manifestReader, error) { return manifests.Open(c) }

func (d manifestOrigin) resources() []string {
	return []string{
		events.RutterClasses, events.GatewayClasses, events.Gateways, events.ListenerSets,
		events.HTTPRoutes, events.GRPCRoutes, events.TLSRoutes, events.TCPRoutes, events.UDPRoutes, events.ReferenceGrants, events.BackendTLSPolicies, events.RoutingPins, events.Services,
		events.Secrets, events.ConfigMaps, events.ClusterTrustBundles, events.Namespaces, events.EndpointSlices,
	}
}

func (d manifestOrigin) identify(context.Context) (string, error) { return "", nil }

func (d manifestOrigin) open(ctx context.Context, s *Service) (source, error) {
	out := &manifestSource{config: d.config, accepted: loadAccepted(ctx, d.config.Bucket, d.config.Logger), resources: d.resources()}
	var err error
	out.reader, err = d.read(manifests.Config{
		Dir: d.config.Dir, Settle: d.config.Settle, Recorded: recordedFiles(s), Accepted: out.accepted.take(), Logger: d.config.Logger,
	})
	return out, err
}

// manifestSource hands on what files say, and reports what is wrong with them.
type manifestSource struct {
	config    Config
	reader    manifestReader
	accepted  *accepted
	resources []string
	listed    bool
	problems  []manifests.Problem // as last reported
}

// Next implements source.
func (d *manifestSource) Next(ctx context.Context) (observed.Changes, error) {
	changes, err := d.reader.Next(ctx)
	if err != nil {
		return observed.Changes{}, err
	}
	var out observed.Changes
	for _, o := range changes.Applied {
		out.Applied = append(out.Applied, observed.Object{Key: o.Key, Object: o.Object, Hash: o.Hash, File: o.Source.File})
	}
	for _, key := range changes.Deleted {
		out.Vanished = append(out.Vanished, observed.Deletion{Key: key})
	}
	first := !d.listed
	if first {
		d.listed = !changes.More
		for _, resource := range d.resources {
			out.Lists = append(out.Lists, observed.List{Resource: resource, Complete: d.listed})
		}
	}
	if !changes.More {
		out.Recorded = func() { d.report(first, changes.Notices) }
	}
	return out, nil
}

// Store implements source.
func (d *manifestSource) Store(ctx context.Context) {
	d.accepted.save(ctx, d.config.Bucket, d.reader.Accepted())
}

// Close implements source.
func (d *manifestSource) Close() error { return d.reader.Close() }

// report says what has changed about what is wrong.
func (d *manifestSource) report(first bool, notices []manifests.Notice) {
	problems := d.reader.Problems()
	if !first && len(notices) == 0 && slices.Equal(problems, d.problems) {
		return
	}
	d.problems = problems
	var refused, ignored []Problem
	for _, p := range problems {
		refused = append(refused, Problem{Where: p.Source.String(), Message: p.Message})
	}
	for _, n := range notices {
		ignored = append(ignored, Problem{Where: n.Source.String(), Message: n.Message})
	}
	d.config.Report(refused, ignored)
}

// recordedFiles is what the directory is compared with.
func recordedFiles(s *Service) []manifests.Recorded {
	var list []manifests.Recorded
	for _, out := range s.outputs() {
		for key, e := range out.index.Entries {
			r := manifests.Recorded{Key: key, File: e.File, Hash: e.Hash, Object: e.Object}
			if e.Again || key.Resource == events.Secrets {
				r.Hash = routing.Digest{} // the recorded form of a Secret has no private key to compare with
			}
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b manifests.Recorded) int { return a.Key.Compare(b.Key) })
	return list
}
