package controlplane

import (
	"fmt"
	"path/filepath"
	"strings"
)

const (
	etcdClient = "http://127.0.0.1:2379"
	etcdPeer   = "http://127.0.0.1:2380"
)

func etcdArguments(cfg *Config) []string {
	return []string{
		"--name=etcd",
		"--data-dir=" + filepath.Join(cfg.State, "etcd"),
		"--listen-client-urls=" + etcdClient, "--advertise-client-urls=" + etcdClient,
		"--listen-peer-urls=" + etcdPeer, "--initial-advertise-peer-urls=" + etcdPeer,
		"--initial-cluster=etcd=" + etcdPeer,
		"--unsafe-no-fsync", // the data lives no longer than the machine runs
		"--logger=zap", "--log-level=warn",
	}
}

func apiServerArguments(cfg *Config) []string {
	file := func(name string) string { return filepath.Join(cfg.State, name) }
	return []string{
		"--etcd-servers=" + etcdClient,
		// Not on all addresses: those of Services are addresses of this machine, and
		// their ports are not ours.
		"--bind-address=" + cfg.Node.String(), fmt.Sprintf("--secure-port=%d", apiPort),
		"--advertise-address=" + cfg.Node.String(),
		"--service-cluster-ip-range=" + cfg.Services.String(),
		"--cert-dir=" + cfg.State,
		"--tls-cert-file=" + file("apiserver.crt"), "--tls-private-key-file=" + file("apiserver.key"),
		"--client-ca-file=" + file("ca.crt"),
		"--token-auth-file=" + file("tokens.csv"),
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + file("sa.pub"),
		"--service-account-signing-key-file=" + file("sa.key"),
		"--kubelet-certificate-authority=" + file("ca.crt"),
		"--kubelet-client-certificate=" + file("apiserver.crt"), "--kubelet-client-key=" + file("apiserver.key"),
		"--kubelet-preferred-address-types=InternalIP",
		// Tests are short bursts of one or two clients; queueing them by fairness adds
		// what no cluster of many users would see.
		"--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000",
	}
}

// controllers are those that something here depends on: workloads, their endpoints,
// and what namespaces and service accounts need to come and go.
func controllers() []string {
	return []string{
		"clusterrole-aggregation-controller",
		"cronjob-controller",
		"daemonset-controller",
		"deployment-controller",
		"disruption-controller",
		"endpoints-controller",
		"endpointslice-controller",
		"garbage-collector-controller",
		"job-controller",
		"namespace-controller",
		"persistentvolumeclaim-protection-controller",
		"pod-garbage-collector-controller",
		"replicaset-controller",
		"root-ca-certificate-publisher-controller",
		"serviceaccount-controller",
		"statefulset-controller",
		"ttl-after-finished-controller",
	}
}

func controllerManagerArguments(cfg *Config, kubeconfig string) []string {
	file := func(name string) string { return filepath.Join(cfg.State, name) }
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--controllers=" + strings.Join(controllers(), ","),
		"--leader-elect=false",
		"--secure-port=0",
		"--authentication-skip-lookup=true",
		"--root-ca-file=" + file("ca.crt"),
		"--service-account-private-key-file=" + file("sa.key"),
		"--kube-api-qps=1000", "--kube-api-burst=2000",
		"--concurrent-deployment-syncs=10", "--concurrent-replicaset-syncs=10", "--concurrent-service-endpoint-syncs=10",
		"--concurrent-namespace-syncs=20",
	}
}
