package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func TestANodeAsksUntilThereIsAnAPIServer(t *testing.T) {
	refused := fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	broken := errors.New("broken")
	ended, end := context.WithCancel(t.Context())
	end()
	for _, test := range []struct {
		name   string
		ctx    context.Context
		method string
		err    error // of the first three calls
		calls  int
		want   error
	}{
		{"a question", t.Context(), http.MethodGet, refused, 4, nil},
		{"what changes something may be done twice", t.Context(), http.MethodPost, refused, 1, refused},
		{"somebody is there", t.Context(), http.MethodGet, broken, 1, broken},
		{"nobody waits for the answer", ended, http.MethodGet, refused, 1, refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			calls := 0
			transport := newPatient(roundTrip(func(*http.Request) (*http.Response, error) {
				if calls++; calls <= 3 {
					return nil, test.err
				}
				return &http.Response{Body: http.NoBody}, nil
			}))
			request, err := http.NewRequestWithContext(test.ctx, test.method, "http://api.invalid/", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := transport.RoundTrip(request)
			if err == nil {
				response.Body.Close()
			}
			if !errors.Is(err, test.want) || calls != test.calls {
				t.Errorf("after %d calls: %v, want %d and %v", calls, err, test.calls, test.want)
			}
		})
	}
}
