package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gateway "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"

	"github.com/rutter-gateway/rutter/conformance/cluster"
	"github.com/rutter-gateway/rutter/conformance/install"
)

const (
	// creators is how many clients create objects at once.
	creators = 16
	// patience is how long anything may take that has to happen.
	patience = 10 * time.Minute
)

// world is a cluster with Rutter in it, and what is made there.
type world struct {
	cfg      *Config
	cluster  *cluster.Cluster
	programs install.Programs
	core     kubernetes.Interface
	gateway  gateway.Interface
	address  string // of the Gateway
}

func newWorld(started *cluster.Cluster, c *Config) (*world, error) {
	core, err := kubernetes.NewForConfig(started.Client)
	if err != nil {
		return nil, err
	}
	clients, err := gateway.NewForConfig(started.Client)
	if err != nil {
		return nil, err
	}
	return &world{
		cfg: c, cluster: started, core: core, gateway: clients,
		programs: install.Programs{Bin: c.Bin, Kubeconfig: started.Kubeconfig},
	}, nil
}

// say prints what begins.
func (w *world) say(format string, arguments ...any) {
	fmt.Fprintf(w.cfg.Progress, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, arguments...))
}

func (w *world) install(ctx context.Context) error {
	if err := w.programs.CRDs(ctx, ""); err != nil {
		return err
	}
	if err := w.programs.Chart(ctx, w.cfg.Chart); err != nil {
		return err
	}
	_, err := w.core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	return err
}

// makeGateway makes the Gateway, and waits until it has an address and its Envoy.
func (w *world) makeGateway(ctx context.Context) error {
	if _, err := w.gateway.GatewayV1().Gateways(namespace).Create(ctx, gatewayObject(), metav1.CreateOptions{}); err != nil {
		return err
	}
	return w.gatewayServes(ctx)
}

// gatewayServes waits until the Gateway has an address, and its Envoy has acknowledged it.
func (w *world) gatewayServes(ctx context.Context) error {
	return eventually(ctx, "the Gateway", func() error {
		found, err := w.gateway.GatewayV1().Gateways(namespace).Get(ctx, gatewayName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !isTrue(found.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed), found.Generation) || len(found.Status.Addresses) == 0 {
			return fmt.Errorf("conditions are %v, addresses %v", found.Status.Conditions, found.Status.Addresses)
		}
		w.address = fmt.Sprintf("%s:%d", found.Status.Addresses[0].Value, port)
		return nil
	})
}

// makeBackends starts one backend, and makes Services and EndpointSlices for so many
// routes that lead to it.
func (w *world) makeBackends(ctx context.Context, count int) error {
	if _, err := w.core.CoreV1().Pods(namespace).Create(ctx, backendPod(), metav1.CreateOptions{}); err != nil {
		return err
	}
	var backend string
	if err := eventually(ctx, "the backend", func() error {
		pod, err := w.core.CoreV1().Pods(namespace).Get(ctx, backendName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				backend = pod.Status.PodIP
				return nil
			}
		}
		return fmt.Errorf("conditions are %v", pod.Status.Conditions)
	}); err != nil {
		return err
	}
	w.say("%d Services with their endpoints", count)
	return inParallel(ctx, 0, count, func(ctx context.Context, i int) error {
		if _, err := w.core.CoreV1().Services(namespace).Create(ctx, service(i), metav1.CreateOptions{}); err != nil {
			return err
		}
		_, err := w.core.DiscoveryV1().EndpointSlices(namespace).Create(ctx, endpointSlice(i, backend), metav1.CreateOptions{})
		return err
	})
}

// makeRoutes creates routes at once.
func (w *world) makeRoutes(ctx context.Context, from, to int) error {
	return inParallel(ctx, from, to, w.makeRoute)
}

func (w *world) makeRoute(ctx context.Context, i int) error {
	_, err := w.gateway.GatewayV1().HTTPRoutes(namespace).Create(ctx, route(i), metav1.CreateOptions{})
	return err
}

// inParallel does something for each number, by so many creators; the first error ends
// it.
func inParallel(ctx context.Context, from, to int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var running sync.WaitGroup
	for range creators {
		running.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := from; i < to && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	running.Wait()
	return context.Cause(ctx)
}

// eventually asks until there is no error any more.
func eventually(ctx context.Context, what string, check func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it took too long"))
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", what, context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

func isTrue(conditions []metav1.Condition, kind string, generation int64) bool {
	for _, condition := range conditions {
		if condition.Type == kind {
			return condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == generation
		}
	}
	return false
}
