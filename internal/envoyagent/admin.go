package envoyagent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// admin is the administration interface of an Envoy.
type admin struct{ client *http.Client }

func newAdmin(socket string) *admin {
	return &admin{&http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}}
}

// ask makes one request. What it returns must be closed.
func (a *admin) ask(ctx context.Context, method, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://envoy"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask Envoy: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 256))
		_ = response.Body.Close()
		return nil, fmt.Errorf("ask Envoy %s: %s: %s", path, response.Status, strings.TrimSpace(string(text)))
	}
	return response.Body, nil
}

// do is a request of which only the success matters.
func (a *admin) do(ctx context.Context, method, path string) error {
	body, err := a.ask(ctx, method, path)
	if err != nil {
		return err
	}
	return body.Close()
}

// connections is how many clients are connected.
func (a *admin) connections(ctx context.Context) (int64, error) {
	body, err := a.ask(ctx, http.MethodGet, `/stats?format=json&filter=^listener\..*\.downstream_cx_active$`)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	var answer struct {
		Stats []struct {
			Name  string
			Value int64
		}
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return 0, fmt.Errorf("read Envoy's statistics: %w", err)
	}
	var sum int64
	for _, s := range answer.Stats {
		// The agent's own connection is one to the listener "admin"; those per worker
		// are in the sum already.
		if !strings.HasPrefix(s.Name, "listener.admin.") && !strings.Contains(s.Name, ".worker_") {
			sum += s.Value
		}
	}
	return sum, nil
}
