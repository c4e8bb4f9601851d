package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/ingest/internal/kube"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// Kubernetes says which API server is recorded.
type Kubernetes struct {
	// Config is how to reach it, and as whom.
	Config *rest.Config
	// Replaces is the uid (of the namespace kube-system) of the cluster that was
	// recorded under this name before, where this one takes its place for good.
	Replaces string
	// RelistAfter is how long to wait before a list that lacked what exists is made
	// again; zero is the default.
	RelistAfter time.Duration
}

// clusterOrigin is a Kubernetes cluster as an origin of objects.
type clusterOrigin struct {
	config Config
	client *kube.Client
}

func newClusterOrigin(c Config) (*clusterOrigin, error) {
	client, err := kube.NewClient(c.Kubernetes.Config)
	if err != nil {
		return nil, err
	}
	return &clusterOrigin{config: c, client: client}, nil
}

func (c *clusterOrigin) resources() []string { return kube.Resources() }

// identify waits until the API server answers, for as long as that may take.
func (c *clusterOrigin) identify(ctx context.Context) (string, error) {
	for retryCount := 0; ; retryCount++ {
		uid, err := c.client.ClusterUID(ctx)
		if err == nil {
			return uid, nil
		}
		if retryCount == 0 {
			c.config.Logger.Warn("the API server is waited for", "error", err)
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func (c *clusterOrigin) open(_ context.Context, s *Service) (source, error) {
	var wanted []events.Key
	for _, resource := range kube.Fetched() {
		for key := range s.recorder.Keys(resource) {
			wanted = append(wanted, key)
		}
	}
	for _, pin := range s.recorder.Keys(events.RoutingPins) {
		wanted = append(wanted, pin.References...)
	}
	return &clusterSource{s: s, Reader: kube.Open(kube.Config{
		Client: c.client, ClusterUID: s.clusterUID, RelistAfter: c.config.Kubernetes.RelistAfter, Logger: s.Logger,
		Dropped: s.metrics.dropped, Watching: s.metrics.watching,
		Recorded: func(resource string) map[events.Key]string {
			out := map[events.Key]string{}
			for key, e := range s.recorder.Keys(resource) {
				out[key] = e.UID
			}
			return out
		},
	}, wanted)}, nil
}

// clusterSource is the reader of a cluster.
type clusterSource struct {
	*kube.Reader
	s *Service
}

// Next implements source.
func (c *clusterSource) Next(ctx context.Context) (observed.Changes, error) {
	changes, err := c.Reader.Next(ctx)
	c.s.metrics.pending.Set(float64(c.Pending()))
	if errors.Is(err, kube.ErrBack) {
		err = fmt.Errorf("%w: %w", errStartAnew, err)
	}
	return changes, err
}

// Store implements source: all that a restart needs is in the log.
func (c *clusterSource) Store(context.Context) {}

// checkCluster refuses to record a cluster over the history of another one.
func (s *Service) checkCluster(recorded string) error {
	if s.clusterUID == "" || recorded == "" || s.clusterUID == recorded || s.Kubernetes != nil && s.Kubernetes.Replaces == recorded {
		return nil
	}
	return fmt.Errorf("the log holds the history of another cluster under the name %s: that one's kube-system has the uid %s, this one's %s; "+
		"give this one another name, or say that it replaces %s", s.Cluster, recorded, s.clusterUID, recorded)
}
