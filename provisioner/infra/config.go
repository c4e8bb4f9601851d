package infra

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/envoyproc"
)

// Where things are in a pod.
const (
	configDir      = "/etc/rutter/envoy"
	certificateDir = "/etc/rutter/xds"
	runDir         = "/run/rutter"
	bootstrapFile  = "bootstrap.json"
)

// configMap holds what Envoy starts with.
func (b *builder) configMap() (*corev1.ConfigMap, error) {
	tls := &envoyproc.TLS{Dir: certificateDir, SecretsDir: configDir}
	bootstrap, err := envoyproc.Bootstrap(&envoyproc.Config{
		Gateway: b.gateway.String(), XDS: b.XDSAddress, TLS: tls, RunDir: runDir,
		MaxConnections: b.in.MaxConnections, MaxHeap: maxHeap(b.in.Resources),
	})
	if err != nil {
		return nil, err
	}
	encoded, err := envoyproc.Encode(bootstrap)
	if err != nil {
		return nil, err
	}
	files, err := envoyproc.SecretFiles(tls, b.XDSAddress)
	if err != nil {
		return nil, err
	}
	data := map[string]string{bootstrapFile: string(encoded)}
	for name, content := range files { //determinism: into a map
		data[name] = string(content)
	}
	return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: b.meta(), Data: data}, nil
}

// maxHeap is what Envoy may allocate of its container's memory; 0, which is without, where
// that has no limit. A fifth is left for what is not on its heap: code, stacks, buffers
// of the allocator, and what the kernel counts.
func maxHeap(of *routing.Resources) uint64 {
	if of == nil {
		return 0
	}
	limit, err := resource.ParseQuantity(of.Limits[string(corev1.ResourceMemory)])
	if err != nil || limit.Value() <= 0 {
		return 0
	}
	return uint64(limit.Value()) / 5 * 4
}

// digestOf is over names and contents.
func digestOf(files map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%d %s %d %s", len(name), name, len(files[name]), files[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}
