package envoyproc

import (
	"regexp"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
)

func TestBootstrapReachesTheServerByNameAddressOrSocket(t *testing.T) {
	for target, want := range map[string]clusterv3.Cluster_DiscoveryType{
		"/run/xds.sock":         clusterv3.Cluster_STATIC,
		"127.0.0.1:18000":       clusterv3.Cluster_STATIC,
		"[::1]:18000":           clusterv3.Cluster_STATIC,
		"xds.rutter.svc:18000":  clusterv3.Cluster_STRICT_DNS,
		"rutter-xds-server:443": clusterv3.Cluster_STRICT_DNS,
	} {
		b, err := Bootstrap(&Config{NodeID: "n", Gateway: "default/gw", XDS: target, RunDir: "/run"})
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		if got := b.StaticResources.Clusters[0].GetType(); got != want || b.Node.Cluster != "default/gw" {
			t.Errorf("%s: %v for %s", target, got, b.Node.Cluster)
		}
	}
}

func TestClusterStatisticsAreTrimmedAndNothingElse(t *testing.T) {
	kept := regexp.MustCompile("^(?:" + keptStatistics + ")$")
	for name, want := range map[string]bool{
		"http.http-80.downstream_rq_2xx":          true,
		"listener.0.0.0.0_80.downstream_cx_total": true,
		"server.live":                                        true,
		"control_plane.connected_state":                      true,
		"cluster_manager.cds.update_rejected":                true,
		"cors.x":                                             true,
		"cluster.xds.upstream_cx_active":                     true,
		"cluster.default/a/80.upstream_rq_total":             true,
		"cluster.default/a/80.upstream_cx_connect_fail":      true,
		"cluster.default/a/80.upstream_cx_total":             false,
		"cluster.default/a/80.circuit_breakers.default.open": false,
		"cluster.default/a/80.lb_healthy_panic":              false,
	} {
		if got := kept.MatchString(name); got != want {
			t.Errorf("%s: kept %v, want %v", name, got, want)
		}
	}
}
