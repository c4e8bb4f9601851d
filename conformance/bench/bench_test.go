package bench

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/conformance/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m.Run)) }

// What is measured with many routes is measured with few.
func TestARunFindsEveryFigure(t *testing.T) {
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	chart, err := filepath.Abs("../../deploy/helm/rutter")
	if err != nil {
		t.Fatal(err)
	}
	report, err := Run(t.Context(), Config{
		Dir: t.TempDir(), Bin: bin, Chart: chart, Burst: 5, Samples: 3, Resident: 10, Listed: 20, Sets: 2, Idle: time.Millisecond,
		Progress: t.Output(), Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Print(t.Output()); err != nil {
		t.Fatal(err)
	}
	if l := report.Latency; len(l.Served) != 3 || l.Answers.Asked < 3 || report.Wrong() {
		t.Errorf("%d routes were served, answers are wrong: %s", len(l.Served), &l.Answers)
	}
	if s := report.Status; s.Writes < 5 || s.Writes > 10 {
		t.Errorf("%v statuses were written for 5 routes", s.Writes)
	}
	if l := report.List; l.Recorded <= 0 || l.Ready < l.Recorded {
		t.Errorf("the first list was recorded after %v, all after %v", l.Recorded, l.Ready)
	}
	if s := report.Sets; s.Routes != 32 || s.Acknowledged < s.Installed || s.Statuses < s.Acknowledged || s.Proxy <= 0 {
		t.Errorf("a cold start took %+v", s)
	}
	for _, footprints := range [][]Footprint{report.Memory.Idle, report.Sets.Idle} {
		var roles []string
		for _, footprint := range footprints {
			roles = append(roles, footprint.Role)
			if footprint.Proportional <= 0 || footprint.Resident < footprint.Proportional || footprint.Peak < footprint.Resident/2 {
				t.Errorf("memory of %+v", footprint)
			}
		}
		if got, want := strings.Join(roles, " "), "envoy-agent ingest nats projector provisioner status-writer xds-server"; got != want {
			t.Errorf("roles are %s, want %s", got, want)
		}
	}
}

func TestAWrongAnswerIsCountedAndFails(t *testing.T) {
	report := &Report{Latency: &Latency{}, Sets: &Sets{}}
	answers := &report.Latency.Answers
	answers.check("before 200", 404, 404)
	if report.Wrong() || answers.String() != "none of 1" {
		t.Errorf("a right answer is wrong: %s", answers)
	}
	answers.check("before 200", 503, 404)
	answers.check("after 200", 404, 200)
	answers.check("after 200", 404, 200)
	if want := "2 × 404 after 200, 1 × 503 before 200, of 4"; !report.Wrong() || answers.String() != want {
		t.Errorf("got %s, want %s", answers, want)
	}
}

func TestMetricsAreAddedUpByLabels(t *testing.T) {
	text, err := parse(strings.NewReader(`# HELP writes_total Statuses written.
# TYPE writes_total counter
writes_total{resource="gateways"} 2
writes_total{resource="httproutes"} 1.5e+03
# TYPE writes_total_more counter
writes_total_more{resource="httproutes"} 7
# TYPE start_seconds gauge
start_seconds 1.5
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ got, want float64 }{
		{text.sum("writes_total"), 1502},
		{text.sum("writes_total", label{"resource", "httproutes"}), 1500},
		{text.sum("writes_total", label{"resource", "tlsroutes"}), 0},
		{text.count("writes_total"), 2},
		{float64(text.time("start_seconds").UnixMilli()), 1500},
	} {
		if test.got != test.want {
			t.Errorf("got %v, want %v", test.got, test.want)
		}
	}
}

func TestAPollerKeepsItsConnection(t *testing.T) {
	var clients []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clients = append(clients, r.RemoteAddr)
		if r.Host != "there.example.com" {
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	poller, err := NewPoller(t.Context(), server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	for host, want := range map[string]int{"there.example.com": 200, "elsewhere.example.com": 404} {
		if code, err := poller.Get(host); err != nil || code != want {
			t.Errorf("%s answered %d, %v, want %d", host, code, err, want)
		}
	}
	if len(clients) != 2 || clients[0] != clients[1] {
		t.Errorf("requests came from %v, want one connection", clients)
	}
}

func TestPercentiles(t *testing.T) {
	var all []time.Duration
	for i := 200; i > 0; i-- {
		all = append(all, time.Duration(i))
	}
	if median, worst := percentile(all, 50), percentile(all, 99); median != 101 || worst != 199 {
		t.Errorf("p50 is %d and p99 %d of 1 to 200", median, worst)
	}
	if percentile(nil, 50) != 0 {
		t.Error("nothing has a median")
	}
}
