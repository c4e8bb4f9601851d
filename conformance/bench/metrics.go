package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/conformance/install"
)

// metrics are what a process says of itself, by name.
type metrics map[string]*dto.MetricFamily

// scrape asks the only process of a role.
func (w *world) scrape(ctx context.Context, role string) (metrics, error) {
	pods, err := w.core.CoreV1().Pods(install.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + role})
	if err != nil {
		return nil, err
	}
	if len(pods.Items) != 1 || pods.Items[0].Status.PodIP == "" {
		return nil, fmt.Errorf("%s has %d pods, or no address", role, len(pods.Items))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:8080/metrics", pods.Items[0].Status.PodIP), http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the metrics of %s: %s", role, answer.Status)
	}
	return parse(answer.Body)
}

// parse reads the text format of Prometheus.
func parse(text io.Reader) (metrics, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(text)
}

// label is one that a series has to have.
type label struct{ name, value string }

// sum adds all series of a name that have all of these labels.
func (m metrics) sum(name string, labels ...label) float64 {
	total := 0.0
	for _, series := range m[name].GetMetric() {
		if has(series, labels) {
			// One of the two is nil, and so 0.
			total += series.GetCounter().GetValue() + series.GetGauge().GetValue()
		}
	}
	return total
}

func has(series *dto.Metric, labels []label) bool {
	for _, want := range labels {
		if !slices.ContainsFunc(series.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == want.name && l.GetValue() == want.value }) {
			return false
		}
	}
	return true
}

// count is how many series of a name there are.
func (m metrics) count(name string) float64 { return float64(len(m[name].GetMetric())) }

// time is a time that is told in seconds.
func (m metrics) time(name string) time.Time { return time.UnixMicro(int64(m.sum(name) * 1e6)) }
