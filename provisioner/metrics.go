package provisioner

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/internal/process"
)

// metrics of a provisioner.
type metrics struct {
	reconcile             *process.Reconcile
	lag                   *process.Lag
	gateways              prometheus.Gauge
	certificates, foreign prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	reconcile, errReconcile := process.NewReconcile(r, "provisioner")
	lag, errLag := process.NewLag(r, "provisioner")
	m := &metrics{
		reconcile: reconcile, lag: lag,
		gateways:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "rutter_provisioner_gateways", Help: "Gateways that have Envoys."}),
		certificates: prometheus.NewCounter(prometheus.CounterOpts{Name: "rutter_provisioner_certificates_issued_total", Help: "Certificates issued or renewed."}),
		foreign: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rutter_provisioner_foreign_total", Help: "Attempts to build something whose name an object has that is not the Gateway's.",
		}),
	}
	return m, errors.Join(errReconcile, errLag, r.Register(m.gateways), r.Register(m.certificates), r.Register(m.foreign))
}
