package faults

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A list can lack what nobody has deleted: etcd restored from a backup, say.
func TestAListThatLacksMostObjectsTearsNothingDown(t *testing.T) {
	r := newRig(t)
	const many = 15
	var routes []string
	host := func(i int) string { return fmt.Sprintf("lost-%d", i) }
	for i := range many {
		routes = append(routes, routeOf(host(i), "echo"))
	}
	r.apply(routes...)
	for i := range many {
		r.awaitAnswer(host(i), http.StatusOK)
	}
	begun := r.traffic(host(0))

	back := r.away()
	if deleted := r.deleteFromEtcd(httpRoutes(r.namespace) + "lost-"); deleted != fmt.Sprint(many) {
		t.Fatalf("%s objects were deleted", deleted)
	}
	back()
	r.eventually("it is said", func() error { return is(r.synced(r.Context()), metav1.ConditionFalse, "DeletionsHeld") })
	r.eventually("it is counted", func() error { return r.held(many) })
	if !strings.Contains(r.logOf("ingest"), "deletions are held") {
		t.Error("the log does not say it")
	}
	r.works("meanwhile")
	for i := range many {
		if status, err := r.answer(host(i)); err != nil || status != http.StatusOK {
			t.Errorf("%s answers %d, %v", host(i), status, err)
		}
	}
	r.flawless("most objects are missing", begun)

	// One is made again; the deletion of the others is confirmed as the message says.
	r.apply(routes[0])
	r.eventually("one less is missing", func() error { return r.held(many - 1) })
	r.eventually("the rest is confirmed", func() error {
		condition := r.synced(r.Context())
		if condition == nil || condition.Status == metav1.ConditionTrue {
			return nil
		}
		confirm := regexp.MustCompile(`rutter\.dev/confirm-deletions=[\w-]+`).FindString(condition.Message)
		if confirm == "" {
			r.Fatalf("the message does not say how: %s", condition.Message)
		}
		_, err := r.programs.Kubectl(r.Context(), "annotate", "--overwrite", "gatewayclass", "rutter", confirm)
		return errors.Join(err, fmt.Errorf("the condition is %v", condition))
	})
	for i := 1; i < many; i++ {
		r.awaitAnswer(host(i), http.StatusNotFound)
	}
	r.eventually("nothing is held", func() error { return r.held(0) })
	r.flawless("the one that was made again", begun)
}

// held tells whether so many HTTPRoutes are held, by ingest's metric.
func (r *rig) held(want int) error {
	pod, err := r.core.CoreV1().Pods(rutter).Get(r.Context(), r.processOf(rutter, "ingest").Pod, metav1.GetOptions{})
	if err != nil {
		return err
	}
	metrics, err := r.core.CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces", rutter, "pods", pod.Name+":8080", "proxy", "metrics").DoRaw(r.Context())
	if err != nil {
		return err
	}
	line := fmt.Sprintf("rutter_ingest_held_deletions{resource=\"httproutes\"} %d\n", want)
	if !strings.Contains(string(metrics), line) {
		return fmt.Errorf("the metrics lack %q", line)
	}
	return nil
}
