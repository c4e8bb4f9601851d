package faults

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/conformance/install"
)

// Configuration is broken, and yesterday's is put in force until it is mended.
func TestAPinServesThePastUntilItIsTakenBack(t *testing.T) {
	r := newRig(t)
	pay := r.neighbour()
	pay.apply(backend, serviceOf("echo"), grantTo(r.namespace))
	r.apply(routeOf("kept", "echo"), strings.Replace(routeOf("pay", "echo"), "{name: echo, ", "{name: echo, namespace: "+pay.namespace+", ", 1))
	for _, host := range []string{"kept", "pay"} {
		r.awaitAnswer(host, http.StatusOK)
	}
	begun := r.traffic("kept")
	then := r.version()
	r.apply(routeOf("first", "nobody"), routeOf("newer", "echo"))
	r.awaitAnswer("first", http.StatusInternalServerError)
	r.awaitAnswer("newer", http.StatusOK)

	// What is printed is what is applied, and what changes is told beside it.
	manifest, told := r.rutter("pin", r.namespace+"/gw", "--at", then, "--reason", "the shop is down", "--manifest", "-")
	if !strings.Contains(told, "first.example.com") || !strings.Contains(told, "newer.example.com") || strings.Contains(manifest, "example.com") {
		t.Errorf("of what changes it tells %q, and prints\n%s", told, manifest)
	}
	r.apply(manifest)
	r.awaitAnswer("first", http.StatusOK)
	r.awaitAnswer("newer", http.StatusNotFound)
	r.eventually("the Gateway says so", func() error {
		return r.pinnedAs(metav1.ConditionTrue, "version "+then, r.namespace+"/gw of kubectl says", "the shop is down")
	})
	r.eventually("the RoutingPin says so", func() error { return r.pinSays("is in force") })
	r.eventually("what is newer says that it waits", func() error {
		return r.routeIs("newer", "rutter.dev/Programmed", metav1.ConditionFalse, "Pinned")
	})
	if recorded, _ := r.rutter("log", "routingpin/"+r.namespace+"/gw"); !strings.Contains(recorded, "created") || !strings.Contains(recorded, "read") {
		t.Errorf("the log tells of the pin\n%s", recorded)
	}

	pay.kubectl("delete", "referencegrant", "shop")
	r.awaitAnswer("pay", http.StatusInternalServerError)
	r.eventually("the RoutingPin says what is left out", func() error { return r.pinSays(pay.namespace + "/echo") })
	pay.apply(grantTo(r.namespace))
	r.awaitAnswer("pay", http.StatusOK)
	r.awaitAnswer("newer", http.StatusNotFound)

	if next, _ := r.rutter("unpin", r.namespace+"/gw", "--dry-run"); !strings.Contains(next, "newer.example.com") || !strings.Contains(next, "unresolved (500)") {
		t.Errorf("without the pin it would be\n%s", next)
	}
	r.awaitAnswer("newer", http.StatusNotFound)
	r.rutter("unpin", r.namespace+"/gw", "--yes")
	r.eventually("what waited says that it is served", func() error {
		return r.routeIs("newer", "rutter.dev/Programmed", metav1.ConditionTrue, "")
	})
	if status, err := r.answer("newer"); err != nil || status != http.StatusOK {
		t.Errorf("it says so, and answers %d, %v", status, err)
	}
	r.awaitAnswer("first", http.StatusInternalServerError)
	r.eventually("the Gateway no longer says that it is pinned", func() error { return r.pinnedAs("") })
	r.flawless("the past was put in force, and taken back", begun)
}

// neighbour is another namespace.
func (r *rig) neighbour() *rig {
	r.Helper()
	made, err := r.core.CoreV1().Namespaces().Create(r.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: r.namespace + "-"}}, metav1.CreateOptions{})
	r.must(err)
	r.Cleanup(func() {
		if !r.Failed() {
			_ = r.core.CoreV1().Namespaces().Delete(context.Background(), made.Name, metav1.DeleteOptions{})
		}
	})
	return &rig{T: r.T, world: r.world, namespace: made.Name}
}

// grantTo permits routes of a namespace to lead to the Services here.
func grantTo(namespace string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: shop}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: %s}]
  to: [{group: "", kind: Service}]
`, namespace)
}

// version is the newest that is published.
func (r *rig) version() string {
	r.Helper()
	printed, _ := r.rutter("show", r.namespace+"/gw")
	for line := range strings.Lines(printed) {
		if version, ok := strings.CutPrefix(line, "Version "); ok {
			return strings.Fields(version)[0]
		}
	}
	r.Fatalf("no version in %s", printed)
	return ""
}

// pinnedAs tells whether the Gateway has the condition of a pin, with all texts in its
// message; none at all where status is "".
func (r *rig) pinnedAs(status metav1.ConditionStatus, texts ...string) error {
	found, err := r.gateway.GatewayV1().Gateways(r.namespace).Get(r.Context(), "gw", metav1.GetOptions{})
	if err != nil {
		return err
	}
	condition := meta.FindStatusCondition(found.Status.Conditions, "rutter.dev/Pinned")
	if status == "" {
		if condition != nil {
			return fmt.Errorf("the condition is %+v", condition)
		}
		return nil
	}
	if err := is(condition, status, ""); err != nil {
		return err
	}
	for _, text := range texts {
		if !strings.Contains(condition.Message, text) {
			return fmt.Errorf("it does not say %q: %s", text, condition.Message)
		}
	}
	return nil
}

// pinSays tells whether the RoutingPin is accepted, with a text in its message.
func (r *rig) pinSays(text string) error {
	said := r.kubectl("get", "routingpin", "gw", "-o", `jsonpath={.status.conditions[?(@.type=="Accepted")]['status','message']}`)
	if !strings.HasPrefix(said, "True") || !strings.Contains(said, text) {
		return fmt.Errorf("it says %q", said)
	}
	return nil
}

// rutter runs a command on the log of the cluster, and returns what it printed to
// standard output and to standard error. Exit code 1, for bad news, is no failure.
func (r *rig) rutter(arguments ...string) (printed, told string) {
	r.Helper()
	token, err := base64.StdEncoding.DecodeString(r.system("get", "secret", "rutter-nats", "-o", "jsonpath={.data.token}"))
	r.must(err)
	url := fmt.Sprintf("nats://%s@%s:4222", token, r.system("get", "service", install.Release+"-nats", "-o", "jsonpath={.spec.clusterIP}"))
	command := exec.CommandContext(r.Context(), filepath.Join(r.programs.Bin, "rutter"), append(arguments, "--nats-url", url)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+r.programs.Kubeconfig)
	var out, complaints strings.Builder
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil && command.ProcessState.ExitCode() != 1 {
		r.Fatalf("rutter %s: %v: %s%s", strings.Join(arguments, " "), err, out.String(), complaints.String())
	}
	return out.String(), complaints.String()
}

// system runs kubectl in the namespace of Rutter.
func (r *rig) system(arguments ...string) string {
	r.Helper()
	printed, err := r.programs.Kubectl(r.Context(), append([]string{"-n", rutter}, arguments...)...)
	r.must(err)
	return printed
}
