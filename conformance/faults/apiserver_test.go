package faults

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/rutter-gateway/rutter/conformance/cluster"
)

func TestTheAPIServerIsRestarted(t *testing.T) {
	r := newRig(t)
	begun := r.traffic("first")
	before := r.rutterProcesses()
	r.must(r.ControlPlane.APIServer.Stop())
	r.must(r.ControlPlane.APIServer.Start(t.Context()))
	r.works("after")
	r.flawless("the API server was restarted", begun)
	r.unchanged(before)
}

func TestWhatChangedWhileTheAPIServerWasAwayIsServedWhenItReturns(t *testing.T) {
	r := newRig(t)
	r.apply(routeOf("moved", "echo"), routeOf("doomed", "echo"))
	r.awaitAnswer("moved", http.StatusOK)
	r.awaitAnswer("doomed", http.StatusOK)
	begun := r.traffic("first")
	before := r.rutterProcesses()

	r.must(r.ControlPlane.APIServer.Kill())
	returns := time.Now().Add(30 * time.Second)
	r.changeInEtcd(httpRoutes(r.namespace)+"moved", "moved.example.com", "elsewhere.example.com")
	budget := "/registry/poddisruptionbudgets/" + r.namespace + "/gw-rutter"
	for _, key := range []string{httpRoutes(r.namespace) + "doomed", budget} {
		if deleted := r.deleteFromEtcd(key); deleted != "1" {
			t.Fatalf("%s objects %s were deleted", deleted, key)
		}
	}
	r.eventually("30 seconds of traffic", func() error { return atLeast(int(-time.Until(returns)), 0) })
	for _, host := range []string{"moved", "doomed"} {
		if status, err := r.answer(host); err != nil || status != http.StatusOK {
			t.Errorf("nobody knows what became of %s, and it answers %d, %v", host, status, err)
		}
	}
	r.startAPIServer()
	returned := time.Now()
	r.awaitAnswer("elsewhere", http.StatusOK)
	t.Logf("the change is served %.1f s after the API server is ready", time.Since(returned).Seconds())
	r.awaitAnswer("moved", http.StatusNotFound)
	r.awaitAnswer("doomed", http.StatusNotFound)
	r.eventually("status of moved", func() error { return r.routeIs("moved", "rutter.dev/Programmed", metav1.ConditionTrue, "") })
	r.eventually("what was built is whole", func() error {
		_, err := r.core.PolicyV1().PodDisruptionBudgets(r.namespace).Get(r.Context(), "gw-rutter", metav1.GetOptions{})
		return err
	})
	took := time.Since(returned)
	t.Logf("everything is as it should be after %.1f s", took.Seconds())
	if took > 20*time.Second {
		t.Error("that is too long")
	}
	r.works("after")
	r.flawless("the API server was away for 30 s", begun)
	r.unchanged(before)
}

// Ingest is stopped as a paused machine is: what it had seen last is forgotten when it
// goes on.
func TestAWatchThatHasExpiredIsAnotherList(t *testing.T) {
	r := newRig(t)
	r.apply(routeOf("doomed", "echo"))
	r.awaitAnswer("doomed", http.StatusOK)
	begun := r.traffic("first")
	old := r.resourceVersion()
	lists := strings.Count(r.logOf("ingest"), relisted)

	paused := r.processOf(rutter, "ingest")
	r.must(syscall.Kill(paused.PID, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(paused.PID, syscall.SIGCONT) })
	r.kubectl("delete", "httproute", "doomed")
	r.apply(routeOf("unseen", "echo"))
	r.must(r.ControlPlane.APIServer.Kill())
	r.compactEtcd()
	r.startAPIServer()
	r.eventually("a watch from there has expired", func() error { return r.expired(old) })
	r.must(syscall.Kill(paused.PID, syscall.SIGCONT))

	resumed := time.Now()
	r.awaitAnswer("unseen", http.StatusOK)
	t.Logf("the change is served %.1f s after ingest goes on", time.Since(resumed).Seconds())
	r.awaitAnswer("doomed", http.StatusNotFound)
	r.works("after")
	if strings.Count(r.logOf("ingest"), relisted) == lists {
		t.Error("ingest does not say that it listed a kind again")
	}
	r.flawless("watches have expired", begun)
}

// startAPIServer starts what was killed, and the controller manager again, which is not
// what is tested: its informers are those of client-go, which after 30 s without an
// answer wait for 30 to 60 s more. Left alone, it made the pods of the next test 41 s
// after their Deployment.
func (r *rig) startAPIServer() {
	r.Helper()
	r.must(r.ControlPlane.APIServer.Start(r.Context()))
	r.must(r.ControlPlane.ControllerManager.Kill())
	r.must(r.ControlPlane.ControllerManager.Start(r.Context()))
}

const relisted = "a kind is listed again"

// resourceVersion is that of the list of HTTPRoutes now.
func (r *rig) resourceVersion() string {
	r.Helper()
	list, err := r.gateway.GatewayV1().HTTPRoutes("").List(r.Context(), metav1.ListOptions{})
	r.must(err)
	return list.ResourceVersion
}

// expired tells whether the API server no longer knows what has happened since.
func (r *rig) expired(since string) error {
	watcher, err := r.gateway.GatewayV1().HTTPRoutes("").Watch(r.Context(), metav1.ListOptions{ResourceVersion: since})
	if err != nil {
		return asExpired(err)
	}
	defer watcher.Stop()
	if event := <-watcher.ResultChan(); event.Type == watch.Error {
		return asExpired(apierrors.FromObject(event.Object))
	}
	return errors.New("the watch goes on")
}

func asExpired(err error) error {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return nil
	}
	return err
}

// rutterProcesses are those of all roles.
func (r *rig) rutterProcesses() []cluster.Process {
	return slices.DeleteFunc(r.Processes(), func(p cluster.Process) bool { return p.Namespace != rutter })
}

// unchanged checks that none of them has been started again.
func (r *rig) unchanged(before []cluster.Process) {
	r.Helper()
	if after := r.rutterProcesses(); !slices.Equal(before, after) {
		r.Errorf("processes were %v, and are %v", before, after)
	}
}
