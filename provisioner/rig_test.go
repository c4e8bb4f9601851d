package provisioner_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/memlog"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/internal/pki"
	"github.com/rutter-gateway/rutter/provisioner"
	"github.com/rutter-gateway/rutter/provisioner/infra"
)

// rig is a real API server, and a log with the versions that a test publishes.
type rig struct {
	t        *testing.T
	cluster  *gwtest.Cluster
	counted  *rest.Config
	client   dynamic.Interface
	rights   gwtest.Rights // what the provisioner asks for
	ca       pki.Pair
	stream   events.Stream // SNAPSHOTS
	bucket   events.Bucket // of its checkpoints
	state    *routing.State
	position events.Version
	service  *provisioner.Service // that was started last
	registry *prometheus.Registry // its
	slow     bool                 // whether the log has the second batch later than a test waits
	now      atomic.Pointer[time.Time]

	mu      sync.Mutex
	refused map[string]int // calls for which there was no API server, by resource or name
}

func newRig(t *testing.T) *rig {
	t.Helper()
	t.Parallel()
	cluster := gwtest.StartCluster(t)
	r := &rig{t: t, cluster: cluster, state: routing.NewState(), refused: map[string]int{}}
	r.counted = rest.CopyConfig(cluster.Config)
	r.counted.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(request *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(request)
			if errors.Is(err, syscall.ECONNREFUSED) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.refused[path.Base(request.URL.Path)]++
			}
			return response, err
		})
	})
	var err error
	r.client, err = dynamic.NewForConfig(r.counted)
	must(t, err)
	log := memlog.New(memlog.Config{})
	t.Cleanup(log.Close)
	r.stream, err = log.Stream(t.Context(), events.StreamConfig{Name: events.StreamSnapshots, Subjects: []string{"rutter.>"}})
	must(t, err)
	r.bucket, err = log.Bucket(t.Context(), routing.CheckpointBucket)
	must(t, err)
	info, err := r.stream.Info(t.Context())
	must(t, err)
	r.position.Incarnation = info.Incarnation
	now := time.Now()
	r.now.Store(&now)
	r.ca, err = pki.NewAuthority(now)
	must(t, err)
	return r
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// publish makes a version in which Gateways (namespace/name) need this; nil is nothing.
func (r *rig) publish(gateways map[string]*routing.Infrastructure) {
	r.t.Helper()
	snap := &routing.Snapshot{Previous: r.state.Version, Version: events.Version{Incarnation: "I", Sequence: r.state.Version.Sequence + 1}}
	for name, in := range gateways {
		snap.Gateways = append(snap.Gateways, routing.GatewayDelta{Gateway: name, Infrastructure: in, Digest: in.Member(), Deleted: in == nil})
	}
	must(r.t, r.state.Apply(snap))
	messages, err := routing.EncodeSnapshot("c", snap, 1<<20)
	must(r.t, err)
	r.position.Sequence, err = r.stream.Publish(r.t.Context(), messages...)
	must(r.t, err)
}

// checkpoint keeps the version of now, from which a provisioner that starts reads on.
func (r *rig) checkpoint() {
	r.t.Helper()
	must(r.t, routing.PutCheckpoint(r.t.Context(), r.bucket, r.position, r.state.Full()))
}

// start runs a provisioner until stop is called.
func (r *rig) start() (stop func()) {
	r.t.Helper()
	follower, err := routing.Follow(r.t.Context(), r.stream, r.bucket)
	must(r.t, err)
	client, err := dynamic.NewForConfig(r.rights.Of(r.counted))
	must(r.t, err)
	r.registry = prometheus.NewRegistry()
	service, err := provisioner.New(provisioner.Config{
		Snapshots: &batches{Follower: follower, slow: r.slow}, Measured: r.stream, Client: client, ControllerName: "rutter.dev/gateway-controller", Namespace: "default", ServerSecret: "rutter-xds-tls",
		Webhook: provisioner.Webhook{Configuration: "rutter-system-rutter-actors", Host: "rutter-actors.default.svc", Secret: "rutter-actors-tls"},
		Infra: infra.Config{
			EnvoyImage: "envoy:v1", RutterImage: "rutter:v1", XDSAddress: "rutter-xds.default.svc:18000",
			DrainLeast: time.Second, DrainMost: time.Minute,
		},
		Authority: func() (*pki.Authority, error) { return pki.Parse(r.ca) },
		Now:       func() time.Time { return *r.now.Load() },
		Logger:    slog.New(slog.NewTextHandler(r.t.Output(), nil)), Registerer: r.registry,
	})
	must(r.t, err)
	r.service = service
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx) }()
	return func() {
		r.t.Helper()
		cancel()
		must(r.t, <-done)
		follower.Close()
	}
}

// batches are those of a follower.
type batches struct {
	*routing.Follower
	slow, second bool
}

func (b *batches) Next(ctx context.Context) ([]*routing.Snapshot, error) {
	if b.slow && b.second {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	b.second = true
	return b.Follower.Next(ctx)
}

// gateway creates a Gateway, which owns what is built for it, and is its infrastructure.
func (r *rig) gateway(name string) *routing.Infrastructure {
	r.t.Helper()
	o, err := r.resource("gateways").Create(r.t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"gatewayClassName": "rutter", "listeners": []any{map[string]any{"name": "http", "port": int64(80), "protocol": "HTTP"}}},
	}}, metav1.CreateOptions{})
	must(r.t, err)
	return &routing.Infrastructure{
		Name: name + "-rutter", UID: string(o.GetUID()), Generation: 1, Class: "rutter",
		Ports: []routing.InfrastructurePort{{Port: 80, Protocol: "TCP"}}, Labels: map[string]string{"team": "shop"},
	}
}

func (r *rig) resource(name string) dynamic.ResourceInterface {
	groups := map[string]schema.GroupVersion{
		"gateways": {Group: gatewayv1.GroupName, Version: "v1"}, "gatewayclasses": {Group: gatewayv1.GroupName, Version: "v1"}, "deployments": {Group: "apps", Version: "v1"},
		"poddisruptionbudgets":            {Group: "policy", Version: "v1"},
		"validatingwebhookconfigurations": {Group: "admissionregistration.k8s.io", Version: "v1"},
	}
	group, ok := groups[name]
	if !ok {
		group = schema.GroupVersion{Version: "v1"}
	}
	if name == "validatingwebhookconfigurations" || name == "gatewayclasses" {
		return r.client.Resource(group.WithResource(name))
	}
	return r.client.Resource(group.WithResource(name)).Namespace("default")
}

func (r *rig) get(resource, name string) (*unstructured.Unstructured, error) {
	return r.resource(resource).Get(r.t.Context(), name, metav1.GetOptions{})
}

// eventually waits until check is content with an object.
func (r *rig) eventually(resource, name string, check func(*unstructured.Unstructured) error) {
	r.t.Helper()
	r.until(name+" in "+resource, func() error {
		o, err := r.get(resource, name)
		if err != nil {
			return err
		}
		return check(o)
	})
}

func (r *rig) until(what string, check func() error) {
	r.t.Helper()
	gwtest.Eventually(r.t, what, check)
}

// certificate is what a Secret holds.
func certificate(o *unstructured.Unstructured) (tls.Certificate, error) {
	var parts [][]byte
	for _, key := range []string{"tls.crt", "tls.key", "ca.crt"} {
		text, _, _ := unstructured.NestedString(o.Object, "data", key)
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(data) == 0 {
			return tls.Certificate{}, fmt.Errorf("%s: %d bytes, %w", key, len(data), err)
		}
		parts = append(parts, data)
	}
	return tls.X509KeyPair(parts[0], parts[1])
}

// built are the resources that are built, with the suffix of their names.
func built() map[string]string {
	return map[string]string{"serviceaccounts": "", "configmaps": "", "services": "", "poddisruptionbudgets": "", "deployments": "", "secrets": "-xds"}
}
