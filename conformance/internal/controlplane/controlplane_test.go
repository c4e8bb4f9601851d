package controlplane_test

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/rutter-gateway/rutter/conformance/internal/controlplane"
	"github.com/rutter-gateway/rutter/conformance/internal/isolation"
	"github.com/rutter-gateway/rutter/conformance/internal/podnet"
)

func TestMain(m *testing.M) { os.Exit(isolation.Run(m.Run)) }

func TestWhatIsStoredOutlivesTheProcesses(t *testing.T) {
	network, err := podnet.New(netip.MustParsePrefix("10.244.0.0/16"))
	if err != nil {
		t.Fatal(err)
	}
	binaries, err := filepath.Abs("../../../bin/k8s")
	if err != nil {
		t.Fatal(err)
	}
	plane, err := controlplane.Start(t.Context(), controlplane.Config{
		Binaries: binaries, State: t.TempDir(), Logs: t.TempDir(), Node: network.Node(),
		Services: netip.MustParsePrefix("10.96.0.0/16"), Outside: netip.MustParseAddr("127.0.0.1"),
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	clients := kubernetes.NewForConfigOrDie(plane.Client())
	written := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}, Data: map[string]string{"a": "b"}}
	if _, err := clients.CoreV1().ConfigMaps("default").Create(t.Context(), written, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	for _, process := range []*controlplane.Process{plane.APIServer, plane.Etcd, plane.ControllerManager} {
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	for _, process := range []*controlplane.Process{plane.Etcd, plane.APIServer, plane.ControllerManager} {
		if err := process.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	read, err := clients.CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil || read.Data["a"] != "b" {
		t.Errorf("read %v, %v", read, err)
	}

	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := plane.WriteKubeconfig(path, plane.Address()); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	version, err := kubernetes.NewForConfigOrDie(config).Discovery().ServerVersion()
	if err != nil || version.GitVersion != "v1.37.2" {
		t.Errorf("version %v, %v", version, err)
	}
}
