package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

func TestAKindThatIsForbiddenIsSaidAndTheOthersGoOn(t *testing.T) {
	r := newRig(t)
	r.apply(grpcBackend, grpcRouteOf("kept"))
	r.awaitCall("kept", served)
	begun := r.traffic("first")
	restore := r.forbid("grpcroutes")
	t.Cleanup(restore)
	// What is open stays open; a new process has to ask.
	r.must(syscall.Kill(r.processOf(rutter, "ingest").PID, syscall.SIGKILL))
	r.eventually("it is said", func() error {
		condition := r.synced(r.Context())
		if condition != nil && !strings.Contains(condition.Message, "grpcroutes") {
			return fmt.Errorf("the message is %q", condition.Message)
		}
		return is(condition, metav1.ConditionFalse, "Forbidden")
	})
	if log := r.logOf("ingest"); !strings.Contains(log, "a kind cannot be listed") || !strings.Contains(log, "grpcroutes.gateway.networking.k8s.io is forbidden") {
		t.Error("the log does not say it")
	}
	r.apply(grpcRouteOf("unseen"))
	r.works("meanwhile")
	r.awaitCall("kept", served) // what was recorded stays in force
	r.awaitCall("unseen", unserved)

	restore()
	r.awaitCall("unseen", served)
	r.kubectl("delete", "grpcroute", "kept")
	r.awaitCall("kept", unserved)
	r.eventually("everything is synced", func() error { return is(r.synced(r.Context()), metav1.ConditionTrue, "") })
	r.awaitAnswer("meanwhile", http.StatusOK)
	r.flawless("a kind was forbidden", begun)
}

// forbid takes the right to a resource from ingest, and returns what gives it back.
func (r *rig) forbid(resource string) (restore func()) {
	r.Helper()
	const role = "rutter-system-rutter-ingest"
	roles := r.core.RbacV1().ClusterRoles()
	ctx := context.WithoutCancel(r.Context()) // a cleanup comes after the test
	found, err := roles.Get(ctx, role, metav1.GetOptions{})
	r.must(err)
	whole := found.DeepCopy().Rules
	set := func(rules []rbacv1.PolicyRule) {
		r.Helper()
		r.must(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
			now, err := roles.Get(ctx, role, metav1.GetOptions{})
			if err != nil {
				return err
			}
			now.Rules = rules
			_, err = roles.Update(ctx, now, metav1.UpdateOptions{})
			return err
		}))
	}
	for i := range found.Rules {
		found.Rules[i].Resources = slices.DeleteFunc(found.Rules[i].Resources, func(s string) bool { return s == resource })
	}
	set(found.Rules)
	return func() { set(whole) }
}

const grpcBackend = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: grpc}
spec:
  selector: {matchLabels: {app: grpc}}
  template:
    metadata: {labels: {app: grpc}}
    spec:
      containers:
      - name: grpc
        image: echo-basic
        env:
        - {name: GRPC_ECHO_SERVER, value: "1"}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        readinessProbe: {tcpSocket: {port: 3000}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: grpc}
spec:
  selector: {app: grpc}
  ports: [{port: 80, targetPort: 3000}]
`

// grpcRouteOf is a route of the Gateway "gw" for the host of its own name.
func grpcRouteOf(name string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: %s}
spec:
  parentRefs: [{name: gw}]
  hostnames: [%s.example.com]
  rules: [{backendRefs: [{name: grpc, port: 80}]}]
`, name, name)
}

// What gRPC says of a call that was answered, and of one that has no route.
const (
	served   = "0"
	unserved = "12"
)

// call calls the backend for gRPC under a host, and returns the status of gRPC.
func (r *rig) call(host string) (string, error) {
	empty := make([]byte, 5) // a message of no bytes, after its length
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost,
		"http://"+r.address+"/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo", bytes.NewReader(empty))
	if err != nil {
		return "", err
	}
	request.Host = host + ".example.com"
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return "", err
	}
	if status := answer.Trailer.Get("Grpc-Status"); status != "" {
		return status, nil
	}
	return answer.Header.Get("Grpc-Status"), nil
}

func (r *rig) awaitCall(host, want string) {
	r.Helper()
	r.eventually(fmt.Sprintf("a call of %s has the status %s", host, want), func() error {
		status, err := r.call(host)
		if err == nil && status != want {
			err = fmt.Errorf("it is %q", status)
		}
		return err
	})
}
