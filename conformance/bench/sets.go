package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// routesPerSet is how many routes each ListenerSet has.
const routesPerSet = 16

// Sets is a cold start with many ListenerSets: everything is in the cluster before
// anything of Rutter is.
type Sets struct {
	Sets, Routes int
	// Installed is from the start of the installation until all that the chart renders
	// was ready, Acknowledged until an Envoy had acknowledged all, Statuses until every
	// status was written.
	Installed, Acknowledged, Statuses time.Duration
	// Wrong are the routes that did not answer 200, of all.
	Wrong int
	// Busy is the memory when an Envoy had acknowledged all, Idle when nothing had
	// happened for a while. Proxy is that of Envoy, in MiB, at the end.
	Busy, Idle []Footprint
	Proxy      float64
}

// coldStart makes the objects, installs Rutter, and waits for Envoy.
func (w *world) coldStart(ctx context.Context, sets int) (*Sets, error) {
	result := &Sets{Sets: sets, Routes: sets * routesPerSet}
	if err := w.programs.CRDs(ctx, ""); err != nil {
		return nil, err
	}
	if err := w.makeSets(ctx, result); err != nil {
		return nil, err
	}
	w.say("Rutter is installed")
	begin := time.Now()
	if err := w.programs.Chart(ctx, w.cfg.Chart); err != nil {
		return nil, err
	}
	result.Installed = time.Since(begin)
	if err := w.gatewayServes(ctx); err != nil {
		return nil, err
	}
	result.Acknowledged = time.Since(begin)
	var err error
	if result.Busy, err = w.footprints(); err != nil {
		return nil, err
	}
	w.say("every route is asked once")
	if result.Wrong, err = w.sweep(ctx, sets); err != nil {
		return nil, err
	}
	w.say("statuses are waited for")
	if err := w.settle(ctx); err != nil {
		return nil, err
	}
	result.Statuses = time.Since(begin)
	if err := wait(ctx, w.cfg.Idle); err != nil {
		return nil, err
	}
	if result.Idle, err = w.footprints(); err != nil {
		return nil, err
	}
	for _, process := range w.cluster.Processes() {
		if process.Container == "envoy" {
			now, err := mebibytes(fmt.Sprintf("/proc/%d/status", process.PID), "VmRSS")
			if err != nil {
				return nil, err
			}
			result.Proxy += now["VmRSS"]
		}
	}
	return result, nil
}

// makeSets makes a Gateway, ListenerSets with a Service each, and their routes.
func (w *world) makeSets(ctx context.Context, s *Sets) error {
	if _, err := w.core.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	gw := gatewayObject()
	from := gatewayv1.NamespacesFromSame
	gw.Spec.AllowedListeners = &gatewayv1.AllowedListeners{Namespaces: &gatewayv1.ListenerNamespaces{From: &from}}
	if _, err := w.gateway.GatewayV1().Gateways(namespace).Create(ctx, gw, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := w.makeBackends(ctx, s.Sets); err != nil {
		return err
	}
	w.say("%d ListenerSets with %d routes", s.Sets, s.Routes)
	if err := inParallel(ctx, 0, s.Sets, func(ctx context.Context, i int) error {
		_, err := w.gateway.GatewayV1().ListenerSets(namespace).Create(ctx, listenerSet(i), metav1.CreateOptions{})
		return err
	}); err != nil {
		return err
	}
	return inParallel(ctx, 0, s.Routes, func(ctx context.Context, i int) error {
		_, err := w.gateway.GatewayV1().HTTPRoutes(namespace).Create(ctx, routeOfSet(i), metav1.CreateOptions{})
		return err
	})
}

func setName(i int) string { return fmt.Sprintf("team-%d", i) }

// hostOfSet is the hostname of a route of a ListenerSet.
func hostOfSet(i int) string {
	return fmt.Sprintf("%s.%s.example.com", nameOf(i), setName(i/routesPerSet))
}

func listenerSet(i int) *gatewayv1.ListenerSet {
	host := gatewayv1.Hostname("*." + setName(i) + ".example.com")
	return &gatewayv1.ListenerSet{
		ObjectMeta: meta(setName(i)),
		Spec: gatewayv1.ListenerSetSpec{
			ParentRef: gatewayv1.ParentGatewayReference{Name: gatewayName},
			Listeners: []gatewayv1.ListenerEntry{{Name: "http", Port: port, Protocol: gatewayv1.HTTPProtocolType, Hostname: &host}},
		},
	}
}

func routeOfSet(i int) *gatewayv1.HTTPRoute {
	group, kind := gatewayv1.Group(gatewayv1.GroupName), gatewayv1.Kind("ListenerSet")
	r := route(i)
	r.Spec.ParentRefs = []gatewayv1.ParentReference{{Group: &group, Kind: &kind, Name: gatewayv1.ObjectName(setName(i / routesPerSet))}}
	r.Spec.Hostnames = []gatewayv1.Hostname{gatewayv1.Hostname(hostOfSet(i))}
	r.Spec.Rules[0].BackendRefs[0].Name = gatewayv1.ObjectName(nameOf(i / routesPerSet))
	return r
}

// sweep asks every route once, those of a ListenerSet one after the other: an Envoy keeps
// a connection for every request that was ever under way to a Service at a time, and has so
// many files only. It returns how many do not answer 200.
func (w *world) sweep(ctx context.Context, sets int) (int, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: creators}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	var wrong atomic.Int64
	err := inParallel(ctx, 0, sets, func(ctx context.Context, set int) error {
		for i := range routesPerSet {
			status, err := w.ask(ctx, client, hostOfSet(set*routesPerSet+i))
			if err != nil {
				return err
			}
			if status != http.StatusOK {
				wrong.Add(1)
			}
		}
		return nil
	})
	return int(wrong.Load()), err
}

func (w *world) ask(ctx context.Context, client *http.Client, host string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.address+"/", http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Host = host
	answer, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w", host, err)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, errors.Join(err, answer.Body.Close())
}
