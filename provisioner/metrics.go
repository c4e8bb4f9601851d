package provisioner

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rutter-gateway/rutter/internal/process"
)

// metrics of a provisioner.
type metrics struct {
	reconcile             *process.Reconcile
	gateways              prometheus.Gauge
	certificates, foreign prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	reconcile, err := process.NewReconcile(r, "provisioner")
	m := &metrics{
		reconcile:    reconcile,
		gateways:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "rutter_provisioner_gateways", Help: "Gateways that have Envoys."}),
		certificates: prometheus.NewCounter(prometheus.CounterOpts{Name: "rutter_provisioner_certificates_issued_total", Help: "Certificates issued or renewed."}),
		foreign: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rutter_provisioner_foreign_total", Help: "Attempts to build something whose name an object has that is not the Gateway's.",
		}),
	}
	return m, errors.Join(err, r.Register(m.gateways), r.Register(m.certificates), r.Register(m.foreign))
}
