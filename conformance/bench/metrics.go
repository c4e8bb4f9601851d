package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rutter-gateway/rutter/conformance/install"
)

// metrics are what a process says of itself, in the text format of Prometheus.
type metrics string

// scrape asks the only process of a role.
func (w *world) scrape(ctx context.Context, role string) (metrics, error) {
	pods, err := w.core.CoreV1().Pods(install.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + role})
	if err != nil {
		return "", err
	}
	if len(pods.Items) != 1 || pods.Items[0].Status.PodIP == "" {
		return "", fmt.Errorf("%s has %d pods, or no address", role, len(pods.Items))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:8080/metrics", pods.Items[0].Status.PodIP), http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the metrics of %s: %s", role, answer.Status)
	}
	return metrics(text), err
}

// sum adds all series of a name that have all of these labels.
func (m metrics) sum(name string, labels ...string) float64 {
	total := 0.0
	m.each(name, labels, func(value float64) { total += value })
	return total
}

// count is how many series of a name there are.
func (m metrics) count(name string) float64 {
	total := 0.0
	m.each(name, nil, func(float64) { total++ })
	return total
}

// time is a time that is told in seconds.
func (m metrics) time(name string) time.Time { return time.UnixMicro(int64(m.sum(name) * 1e6)) }

func (m metrics) each(name string, labels []string, do func(float64)) {
lines:
	for line := range strings.Lines(string(m)) {
		series, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		found, labelled, _ := strings.Cut(series, "{")
		if found != name {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(labelled, label) {
				continue lines
			}
		}
		if value, err := strconv.ParseFloat(number, 64); err == nil {
			do(value)
		}
	}
}
