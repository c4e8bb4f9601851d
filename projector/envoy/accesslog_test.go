package envoy

import (
	"strings"
	"testing"

	"github.com/rutter-gateway/rutter/projector/parameters"
	"github.com/rutter-gateway/rutter/projector/route"
)

// A real Envoy takes every operator that a class may name: one that it does not know
// would cost the listener.
func TestEnvoyTakesEveryOperatorOfAnAccessLog(t *testing.T) {
	all := "%REQ(:PATH?X-A):10%|%RESP(SERVER)%|%TRAILER(GRPC-STATUS)%|100%%"
	for _, name := range parameters.LogOperators() {
		all += "|%" + name + "%"
	}
	for name, log := range map[string]parameters.AccessLog{
		"text": {Text: all + "\n"}, "json": {JSON: map[string]string{"all": all}}, "stderr": {Sink: "Stderr"}, "usual": {}, "none": {Sink: "None"},
	} {
		w := newWorld(route.LayoutScoped, httpChain(80))
		w.gateways[testGateway].AccessLog = log
		w.host("http-80", "a.test", entry(prefix("/"), &route.Rule{}))
		p := serve(t, w, newBackends(t))
		if got := do(t, p.transport(80), request(t, "GET a.test/")); got.status != 500 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if strings.Contains(all, "%%%") {
		t.Error("an operator is empty")
	}
}
