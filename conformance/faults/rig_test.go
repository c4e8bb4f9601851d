package faults

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/conformance/internal/patience"
	"github.com/rutter-gateway/rutter/conformance/internal/traffic"
)

// rig is what a test works with: a namespace, with a Gateway that leads to a backend.
type rig struct {
	*testing.T
	*world
	namespace string
	address   string // of the Gateway
	laptop    string // a directory with what is taken along
}

// newRig makes a Gateway with one route, for the host "first", and returns once it is
// served. When the test ends, Rutter must be well again.
func newRig(t *testing.T) *rig {
	t.Helper()
	namespace, err := shared.core.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "fault-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, world: shared, namespace: namespace.Name}
	t.Cleanup(func() {
		r.awaitWell()
		if !t.Failed() {
			_ = r.core.CoreV1().Namespaces().Delete(context.Background(), r.namespace, metav1.DeleteOptions{})
		}
	})
	r.apply(backend, serviceOf("echo"), gatewayOf("gw"), routeOf("first", "echo"))
	r.address = r.awaitGateway("gw")
	r.awaitAnswer("first", http.StatusOK)
	return r
}

// awaitWell waits until all pods of Rutter are ready, and everything is synced.
func (r *rig) awaitWell() {
	r.Helper()
	ctx := context.Background() // that of the test has ended
	r.eventually("all pods of Rutter are ready", func() error {
		pods, err := r.core.CoreV1().Pods(rutter).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, pod := range pods.Items {
			if pod.Status.Phase != corev1.PodSucceeded && !ready(&pod) {
				return fmt.Errorf("%s is not: %v", pod.Name, pod.Status.Conditions)
			}
		}
		return nil
	})
	r.eventually("everything is synced", func() error { return is(r.synced(ctx), metav1.ConditionTrue, "") })
}

func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// eventually waits until check returns nil.
func (r *rig) eventually(what string, check func() error) {
	r.Helper()
	patience.Await(r, what, check)
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// apply applies manifests in the namespace of the test.
func (r *rig) apply(manifests ...string) {
	r.Helper()
	text := ""
	for _, manifest := range manifests {
		text += "---\n" + manifest + "\n"
	}
	file := filepath.Join(r.TempDir(), "manifests.yaml")
	r.must(os.WriteFile(file, []byte(text), 0o600))
	r.kubectl("apply", "--server-side", "--force-conflicts", "-f", file)
}

// kubectl runs kubectl in the namespace of the test.
func (r *rig) kubectl(arguments ...string) string {
	r.Helper()
	printed, err := r.programs.Kubectl(r.Context(), append([]string{"-n", r.namespace}, arguments...)...)
	r.must(err)
	return printed
}

// awaitGateway waits until a Gateway is programmed, and returns its address.
func (r *rig) awaitGateway(name string) string {
	r.Helper()
	var address string
	r.eventually("Gateway "+name+" is programmed", func() error {
		found, err := r.gateway.GatewayV1().Gateways(r.namespace).Get(r.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(found.Status.Addresses) > 0 {
			address = found.Status.Addresses[0].Value
		}
		return is(meta.FindStatusCondition(found.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed)), metav1.ConditionTrue, "")
	})
	return address
}

// is tells whether a condition has a status, and a reason where one is given.
func is(condition *metav1.Condition, status metav1.ConditionStatus, reason string) error {
	if condition == nil || condition.Status != status || reason != "" && condition.Reason != reason {
		return fmt.Errorf("the condition is %+v, want %s %s", condition, status, reason)
	}
	return nil
}

// synced is the condition that says whether everything is known as it is.
func (r *rig) synced(ctx context.Context) *metav1.Condition {
	class, err := r.gateway.GatewayV1().GatewayClasses().Get(ctx, "rutter", metav1.GetOptions{})
	if err != nil {
		return &metav1.Condition{Message: err.Error()}
	}
	return meta.FindStatusCondition(class.Status.Conditions, "rutter.dev/Synced")
}

// routeIs tells whether our entry of a route has a condition, of its present generation.
func (r *rig) routeIs(name, kind string, status metav1.ConditionStatus, reason string) error {
	route, err := r.gateway.GatewayV1().HTTPRoutes(r.namespace).Get(r.Context(), name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, parent := range route.Status.Parents {
		if parent.ControllerName != controller {
			continue
		}
		condition := meta.FindStatusCondition(parent.Conditions, kind)
		if condition != nil && condition.ObservedGeneration != route.Generation {
			return fmt.Errorf("%s has generation %d, and its status is of %d", name, route.Generation, condition.ObservedGeneration)
		}
		return is(condition, status, reason)
	}
	return fmt.Errorf("%s has no entry of ours", name)
}

// answer asks the Gateway for a host once.
func (r *rig) answer(host string) (int, error) {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+r.address+"/", nil)
	if err != nil {
		return 0, err
	}
	request.Host = host + ".example.com"
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

func (r *rig) awaitAnswer(host string, want int) {
	r.Helper()
	r.eventually(fmt.Sprintf("%s answers %d", host, want), func() error {
		status, err := r.answer(host)
		if err == nil && status != want {
			err = fmt.Errorf("it is %d", status)
		}
		return err
	})
}

// works shows that a change is recorded, served, and said.
func (r *rig) works(host string) {
	r.Helper()
	r.apply(routeOf(host, "echo"))
	r.awaitAnswer(host, http.StatusOK)
	r.eventually("status of "+host, func() error {
		return r.routeIs(host, "rutter.dev/Programmed", metav1.ConditionTrue, "")
	})
}

// traffic begins to ask for a host, until the test ends.
func (r *rig) traffic(host string) *traffic.Traffic {
	r.Helper()
	return r.trafficOf(traffic.Config{URL: "http://" + r.address + "/", Host: host + ".example.com"})
}

func (r *rig) trafficTLS(host string, config *tls.Config) *traffic.Traffic {
	r.Helper()
	config.ServerName = host + ".example.com"
	return r.trafficOf(traffic.Config{URL: "https://" + r.address + "/", Host: config.ServerName, TLS: config})
}

func (r *rig) trafficOf(cfg traffic.Config) *traffic.Traffic {
	r.Helper()
	begun, err := traffic.Start(context.WithoutCancel(r.Context()), cfg)
	r.must(err)
	r.Cleanup(func() { begun.Stop() })
	r.awaitMore(begun, 20)
	return begun
}

// awaitMore waits until so many requests more are counted.
func (r *rig) awaitMore(begun *traffic.Traffic, more int) {
	r.Helper()
	before := total(begun.Peek())
	r.eventually("more traffic", func() error { return atLeast(total(begun.Peek()), before+more) })
}

func total(tally traffic.Tally) int {
	sum := tally.Errors
	for _, count := range tally.Answers {
		sum += count
	}
	return sum
}

// only checks that since the last look every request was answered with one of these.
func (r *rig) only(what string, begun *traffic.Traffic, statuses ...int) traffic.Tally {
	r.Helper()
	tally := begun.Take()
	if err := tally.Only(statuses...); err != nil {
		r.Errorf("%s: %v", what, err)
	}
	r.Logf("%s: %s", what, tally)
	return tally
}

// flawless checks that it was 200.
func (r *rig) flawless(what string, begun *traffic.Traffic) {
	r.Helper()
	r.only(what, begun, http.StatusOK)
}

func atLeast(got, want int) error {
	if got < want {
		return fmt.Errorf("%d, want %d", got, want)
	}
	return nil
}
