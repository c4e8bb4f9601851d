package gwtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// Kubernetes is how to reach a real API server, with all rights, that ends with the
// test: etcd and kube-apiserver of $RUTTER_K8S, or of bin/k8s of this module. It has
// the CRDs of the Gateway API, of the experimental channel, and of Rutter, and Services of
// both families. The test is skipped where the two programs are not there; building them
// takes minutes.
func Kubernetes(t testing.TB) *rest.Config {
	t.Helper()
	return StartCluster(t).Config
}

// Cluster is a real API server that can be stopped.
type Cluster struct {
	// Config is how to reach it.
	Config *rest.Config

	kubernetes
	etcd, apiServer         []string // arguments
	stopEtcd, stopAPIServer func()
}

// StartCluster starts what [Kubernetes] does.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	bin := k8sDirectory(t)
	c := &Cluster{kubernetes: kubernetes{t: t, bin: bin, dir: t.TempDir()}}
	peers, clients, port := FreePort(t), FreePort(t), FreePort(t)
	etcd := fmt.Sprintf("http://127.0.0.1:%d", clients)
	peer := fmt.Sprintf("http://127.0.0.1:%d", peers)
	c.etcd = []string{
		"--name=etcd", "--data-dir=" + c.file("etcd"), "--unsafe-no-fsync", "--log-level=error",
		"--listen-client-urls=" + etcd, "--advertise-client-urls=" + etcd,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=etcd=" + peer,
	}
	token := rand.Text()
	c.write("tokens.csv", token+`,admin,admin,"system:masters"`)
	c.write("sa.key", signingKey(t))
	c.apiServer = []string{
		"--etcd-servers=" + etcd, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--cert-dir=" + c.dir, "--token-auth-file=" + c.file("tokens.csv"), "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + c.file("sa.key"),
		"--service-account-signing-key-file=" + c.file("sa.key"),
	}
	c.Config = &rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", port), BearerToken: token, QPS: -1,
		// It signs its own certificate when it starts.
		TLSClientConfig: rest.TLSClientConfig{Insecure: true},
	}
	c.stopEtcd, c.stopAPIServer = c.start("etcd", c.etcd...), c.start("kube-apiserver", c.apiServer...)
	c.install(c.Config)
	c.createNamespace(c.Config, "default")
	return c
}

// Stop kills the API server, Start starts it again.
func (c *Cluster) Stop() { c.stopAPIServer() }

// Start starts the API server again, and does not wait for it.
func (c *Cluster) Start() { c.stopAPIServer = c.start("kube-apiserver", c.apiServer...) }

// Backup stops everything, takes a copy of what is stored, and starts again.
func (c *Cluster) Backup() {
	c.t.Helper()
	c.exchange(func() { c.copy("etcd", "backup") })
}

// Restore stops everything, puts the backup in place, and starts again.
func (c *Cluster) Restore() {
	c.t.Helper()
	c.exchange(func() { c.copy("backup", "etcd") })
}

func (c *Cluster) exchange(do func()) {
	c.t.Helper()
	c.stopAPIServer()
	c.stopEtcd()
	do()
	c.stopEtcd, c.stopAPIServer = c.start("etcd", c.etcd...), c.start("kube-apiserver", c.apiServer...)
	client, err := rest.UnversionedRESTClientFor(unversioned(c.Config))
	if err != nil {
		c.t.Fatal(err)
	}
	c.eventually(c.t.Context(), func() error { return client.Get().AbsPath("/readyz").Do(c.t.Context()).Error() })
}

func (c *Cluster) copy(from, to string) {
	c.t.Helper()
	err := os.RemoveAll(c.file(to))
	if err == nil {
		err = os.CopyFS(c.file(to), os.DirFS(c.file(from)))
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// createNamespace does what a controller manager would do for some.
func (k *kubernetes) createNamespace(config *rest.Config, name string) {
	k.t.Helper()
	client, err := rest.UnversionedRESTClientFor(unversioned(config))
	if err != nil {
		k.t.Fatal(err)
	}
	k.eventually(k.t.Context(), func() error {
		body := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, name)
		return client.Post().AbsPath("/api/v1/namespaces").Body([]byte(body)).Do(k.t.Context()).Error()
	})
}

type kubernetes struct {
	t        testing.TB
	bin, dir string
}

// k8sDirectory is where the programs are.
func k8sDirectory(t testing.TB) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("RUTTER_K8S"), filepath.Join(moduleRoot(), "bin", "k8s"))
	for _, program := range []string{"etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			t.Skipf("there is no %s; `make -C conformance programs` builds it", program)
		}
	}
	return dir
}

func (k *kubernetes) file(name string) string { return filepath.Join(k.dir, name) }

func (k *kubernetes) write(name, content string) {
	k.t.Helper()
	if err := os.WriteFile(k.file(name), []byte(content+"\n"), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// start runs a program until the test ends, or until stop. What it says goes to a
// file that is shown when the test fails.
func (k *kubernetes) start(name string, args ...string) (stop func()) {
	k.t.Helper()
	log, err := os.OpenFile(k.file(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		k.t.Fatal(err)
	}
	command := exec.Command(filepath.Join(k.bin, name), args...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		k.t.Fatal(err)
	}
	var ended sync.WaitGroup
	ended.Go(func() { _ = command.Wait() })
	stop = sync.OnceFunc(func() {
		_ = command.Process.Kill()
		ended.Wait()
		_ = log.Close()
	})
	k.t.Cleanup(func() {
		stop()
		if text, err := os.ReadFile(log.Name()); err == nil && k.t.Failed() {
			k.t.Logf("the end of the log of %s:\n%s", name, text[max(0, len(text)-3000):])
		}
	})
	return stop
}

// install waits for the API server, and then for the CRDs.
func (k *kubernetes) install(config *rest.Config) {
	k.t.Helper()
	out, err := exec.CommandContext(k.t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api", "github.com/rutter-gateway/rutter").Output()
	if err != nil {
		k.t.Fatal(err)
	}
	api, own, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	files, err := filepath.Glob(filepath.Join(api, "config/crd/experimental/gateway.networking.k8s.io_*s.yaml"))
	if err != nil || len(files) == 0 {
		k.t.Fatalf("no CRDs of the Gateway API: %v", err)
	}
	for _, plural := range []string{"rutterclasses", "routingpins"} {
		files = append(files, filepath.Join(own, "deploy/helm/rutter/crds/rutter.dev_"+plural+".yaml"))
	}
	client, err := rest.UnversionedRESTClientFor(unversioned(config))
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil {
			data, err = yaml.YAMLToJSON(data)
		}
		if err != nil {
			k.t.Fatal(err)
		}
		if !strings.Contains(string(data), `"kind":"CustomResourceDefinition"`) {
			continue
		}
		k.eventually(ctx, func() error {
			return client.Post().AbsPath("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").Body(data).Do(ctx).Error()
		})
	}
	for _, resource := range []string{"gatewayclasses", "gateways", "listenersets", "httproutes", "grpcroutes"} {
		k.eventually(ctx, func() error {
			return client.Get().AbsPath("/apis/gateway.networking.k8s.io/v1/" + resource).Do(ctx).Error()
		})
	}
}

func unversioned(config *rest.Config) *rest.Config {
	c := rest.CopyConfig(config)
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, metav1.Unversioned)
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.ContentType, c.GroupVersion = runtime.ContentTypeJSON, &metav1.Unversioned
	return c
}

func (k *kubernetes) eventually(ctx context.Context, try func() error) {
	k.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil || strings.Contains(err.Error(), "already exists") {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			k.t.Fatalf("the API server is not ready: %v", err)
		}
	}
}

// signingKey is a private key for the tokens of service accounts.
func signingKey(t testing.TB) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}
