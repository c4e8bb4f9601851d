package cluster_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/rutter-gateway/rutter/conformance/cluster"
	"github.com/rutter-gateway/rutter/conformance/internal/patience"
)

// shared is the cluster of all tests; each has a namespace of its own.
var shared *cluster.Cluster

func TestMain(m *testing.M) { os.Exit(cluster.Main(func() int { return withCluster(m.Run) })) }

func withCluster(run func() int) int {
	dir, err := os.MkdirTemp("", "cluster")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		panic(err)
	}
	images := cluster.DefaultImages(bin)
	images["tester"] = cluster.Image{Program: filepath.Join(dir, "tester"), Path: "/usr/local/bin/tester", Entrypoint: []string{"tester"}}
	images["dynamic"] = cluster.Image{Program: "/bin/true", Path: "/bin/true", Entrypoint: []string{"/bin/true"}}
	build := exec.Command("go", "build", "-o", dir, "./testdata/tester")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s", err, output)
		return 1
	}
	started, err := cluster.Start(context.Background(), cluster.Config{
		Dir: dir, Bin: bin, Images: images, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared = started
	code := run()
	if err := started.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// rig is what a test works with.
type rig struct {
	*testing.T
	kubernetes.Interface
	namespace string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	clients, err := kubernetes.NewForConfig(shared.Client)
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := clients.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, Interface: clients, namespace: namespace.Name}
	r.eventually("a service account", func() error {
		_, err := clients.CoreV1().ServiceAccounts(r.namespace).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	t.Cleanup(func() {
		if t.Failed() {
			r.printLogs()
		}
		now := int64(0)
		_ = clients.CoreV1().Namespaces().Delete(context.Background(), r.namespace, metav1.DeleteOptions{GracePeriodSeconds: &now})
	})
	return r
}

func (r *rig) printLogs() {
	logs, _ := filepath.Glob(filepath.Join(shared.Logs, r.namespace+"_*"))
	for _, log := range logs {
		content, _ := os.ReadFile(log)
		r.Logf("%s:\n%s", filepath.Base(log), content)
	}
	pods, err := r.CoreV1().Pods(r.namespace).List(context.Background(), metav1.ListOptions{})
	if err == nil {
		for _, pod := range pods.Items {
			r.Logf("%s: %+v", pod.Name, pod.Status)
		}
	}
}

// eventually waits until check returns nil.
func (r *rig) eventually(what string, check func() error) {
	r.Helper()
	patience.Await(r, what, check)
}

// pod is a pod of the tester, changed as the test needs it.
func (r *rig) pod(name string, change func(*corev1.Pod, *corev1.Container)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.namespace, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "main", Image: "example.com/images/tester:v1", Args: []string{"serve"},
		}}},
	}
	pod.Spec.Containers[0].Command = []string{"tester"}
	if change != nil {
		change(pod, &pod.Spec.Containers[0])
	}
	return pod
}

func (r *rig) create(pod *corev1.Pod) {
	r.Helper()
	if _, err := r.CoreV1().Pods(r.namespace).Create(r.Context(), pod, metav1.CreateOptions{}); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) get(name string) *corev1.Pod {
	r.Helper()
	pod, err := r.CoreV1().Pods(r.namespace).Get(r.Context(), name, metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return pod
}

// run creates a pod and waits until it is ready.
func (r *rig) run(pod *corev1.Pod) *corev1.Pod {
	r.Helper()
	r.create(pod)
	return r.awaitReady(pod.Name)
}

func (r *rig) awaitReady(name string) *corev1.Pod {
	r.Helper()
	var found *corev1.Pod
	r.eventually(name+" ready", func() error {
		pod, err := r.CoreV1().Pods(r.namespace).Get(r.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		found = pod
		return isReady(found)
	})
	return found
}

func isReady(pod *corev1.Pod) error {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("conditions are %v", pod.Status.Conditions)
}

// awaitServing waits until a pod of the tester answers.
func (r *rig) awaitServing(pod *corev1.Pod) {
	r.Helper()
	r.eventually(pod.Name+" serving", func() error {
		_, err := fetch(pod.Status.PodIP+":8080", "/args", nil)
		return err
	})
}

// ask asks a tester.
func (r *rig) ask(pod *corev1.Pod, path string, parameters ...string) string {
	r.Helper()
	answer, err := tryAsk(pod, path, parameters...)
	if err != nil {
		r.Fatalf("%s: %v", path, err)
	}
	return answer
}

func tryAsk(pod *corev1.Pod, path string, parameters ...string) (string, error) {
	values := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		values.Set(parameters[i], parameters[i+1])
	}
	return fetch(pod.Status.PodIP+":8080", path, values)
}

func fetch(address, path string, values url.Values) (string, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address + path + "?" + values.Encode())
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return string(body), err
}

func refused(address string) error {
	connection, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		connection.Close()
		return fmt.Errorf("%s accepts", address)
	}
	return nil
}

func (r *rig) equal(what, got, want string) {
	r.Helper()
	if got != want {
		r.Errorf("%s is %q, want %q", what, got, want)
	}
}
