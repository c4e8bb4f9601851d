package cluster

import (
	"errors"
	"net/http"
	"syscall"
	"time"
)

// patient is the transport of what belongs to the node. A question for which nobody is
// there is asked again until somebody is. Informers would wait in between for longer and longer, up
// to a minute, and so long would no pod start after an API server has come back.
type patient struct{ http.RoundTripper }

const knock = 50 * time.Millisecond

func newPatient(next http.RoundTripper) http.RoundTripper { return patient{next} }

// RoundTrip implements [http.RoundTripper].
func (p patient) RoundTrip(request *http.Request) (*http.Response, error) {
	for {
		response, err := p.RoundTripper.RoundTrip(request)
		if request.Method != http.MethodGet || !errors.Is(err, syscall.ECONNREFUSED) {
			return response, err
		}
		select {
		case <-request.Context().Done():
			return nil, err
		case <-time.After(knock):
		}
	}
}
