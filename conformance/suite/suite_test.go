package suite

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/gateway-api/conformance"
	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
	official "sigs.k8s.io/gateway-api/conformance/utils/suite"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/rutter-gateway/rutter/conformance/cluster"
	"github.com/rutter-gateway/rutter/conformance/install"
)

var (
	channel = flag.String("channel", string(Experimental), "which CRDs are installed: standard or experimental")
	update  = flag.Bool("update", false, "accept the report as it is")
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m.Run)) }

// TestConformance is the official suite, against the chart. It takes the flags of the
// suite; with any that leaves something out, the report is not compared.
func TestConformance(t *testing.T) {
	chart, err := filepath.Abs("../../deploy/helm/rutter")
	if err != nil {
		t.Fatal(err)
	}
	version, err := chartVersion(filepath.Join(chart, "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	started := startCluster(t)
	begin := time.Now()
	tools := &install.Programs{Bin: "../../bin", Kubeconfig: started.Kubeconfig}
	if err := tools.CRDs(t.Context(), Channel(*channel).dir()); err != nil {
		t.Fatal(err)
	}
	if err := tools.Chart(t.Context(), chart); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("Rutter is ready after %.1f s\n", time.Since(begin).Seconds())

	t.Setenv("KUBECONFIG", started.Kubeconfig)
	options := conformance.DefaultOptions(t)
	complete(&options, version)
	report := options.ReportOutputPath
	t.Run("Own", func(t *testing.T) { testOwn(t, options.Client) })
	begin = time.Now()
	t.Run("Suite", func(t *testing.T) { conformance.RunConformanceWithOptions(t, options) })
	fmt.Printf("the suite took %.1f min\n", time.Since(begin).Minutes())
	found, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	summary, err := summarize(found)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Print(summary)
	if isWhole() {
		checkReport(t, found)
	}
}

// complete adds what the flags of the suite do not say.
func complete(options *official.ConformanceOptions, version string) {
	given := make(map[string]bool)
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	byDefault := func(name string, set func()) {
		if !given[name] {
			set()
		}
	}
	byDefault("gateway-class", func() { options.GatewayClassName = "rutter" })
	if !given["supported-features"] {
		byDefault("all-features", func() { options.EnableAllSupportedFeatures = true })
		byDefault("exempt-features", func() { options.ExemptFeatures = exempt(Channel(*channel)) })
	}
	byDefault("conformance-profiles", func() {
		options.ConformanceProfiles = []official.ConformanceProfileName{
			official.GatewayHTTPConformanceProfileName, official.GatewayGRPCConformanceProfileName, official.GatewayTLSConformanceProfileName,
			official.GatewayTCPConformanceProfileName, official.GatewayUDPConformanceProfileName,
		}
	})
	byDefault("usable-address", func() {
		kind := gatewayv1.IPAddressType
		options.UsableNetworkAddresses = []gatewayv1.GatewaySpecAddress{{Type: &kind, Value: cluster.UsableAddress.String()}}
	})
	byDefault("unusable-address", func() {
		kind := gatewayv1.HostnameAddressType
		options.UnusableNetworkAddresses = []gatewayv1.GatewaySpecAddress{{Type: &kind, Value: "unusable.example.invalid"}}
	})
	byDefault("report-output", func() { options.ReportOutputPath = filepath.Join(clusterDir, "report.yaml") })
	if options.Implementation.Organization == "" {
		options.Implementation = confv1.Implementation{
			Organization: "rutter-gateway", Project: "rutter", URL: "https://github.com/rutter-gateway/rutter", Version: version,
			Contact: []string{"https://github.com/rutter-gateway/rutter/issues/new"},
		}
	}
}

// isWhole tells whether everything was tested that is claimed.
func isWhole() bool {
	whole := true
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "run-test", "skip-tests", "supported-features", "exempt-features", "conformance-profiles", "skip-provisional-tests", "fail-fast":
			whole = false
		}
	})
	return whole
}

// checkReport compares the report with the committed one, or replaces that.
func checkReport(t *testing.T, found []byte) {
	kept := filepath.Join("..", "reports", *channel+"-default-report.yaml")
	if *update {
		ordered, err := inOrder(found)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(kept), 0o755), os.WriteFile(kept, ordered, 0o644)); err != nil {
			t.Fatal(err)
		}
		return
	}
	committed, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	difference, err := compareReports(committed, found)
	if err != nil {
		t.Fatal(err)
	}
	if difference != "" {
		t.Errorf("the report is another one than reports/%s (accept it with -update):\n%s", filepath.Base(kept), difference)
	}
}

// clusterDir is where the logs of all pods are found after a failure.
const clusterDir = "../.cluster"

func startCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	dir, err := filepath.Abs(clusterDir)
	if err != nil {
		t.Fatal(err)
	}
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	started, err := cluster.Start(t.Context(), cluster.Config{
		Dir: dir, Bin: bin, Images: cluster.DefaultImages(bin),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("logs of pods and control plane: %s", started.Logs)
		}
	})
	return started
}
