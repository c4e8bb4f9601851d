package kubelet

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/rutter-gateway/rutter/conformance/internal/sandbox"
)

// check makes one probe. The network of the pod is reached from the node, as by any
// kubelet.
func (c *container) check(ctx context.Context, process *sandbox.Container, spec *sandbox.Spec, handler *corev1.ProbeHandler) error {
	switch {
	case handler.HTTPGet != nil:
		return c.get(ctx, handler.HTTPGet)
	case handler.TCPSocket != nil:
		return c.connect(ctx, handler.TCPSocket)
	case handler.Exec != nil:
		return c.exec(ctx, process, spec, handler.Exec.Command)
	default:
		return errors.New("this kind of probe is not supported")
	}
}

// handle runs one hook.
func (c *container) handle(ctx context.Context, process *sandbox.Container, spec *sandbox.Spec, handler *corev1.LifecycleHandler) error {
	switch {
	case handler.HTTPGet != nil:
		return c.get(ctx, handler.HTTPGet)
	case handler.Exec != nil:
		return c.exec(ctx, process, spec, handler.Exec.Command)
	case handler.Sleep != nil:
		pause(ctx, time.Duration(handler.Sleep.Seconds)*time.Second)
		return nil
	default:
		return errors.New("this kind of hook is not supported")
	}
}

func (c *container) get(ctx context.Context, action *corev1.HTTPGetAction) error {
	port, err := c.port(action.Port)
	if err != nil {
		return err
	}
	scheme := "http"
	if action.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	target, err := url.Parse(action.Path)
	if err != nil {
		return err
	}
	target.Scheme, target.Host = scheme, net.JoinHostPort(c.host(action.Host), port)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "kube-probe/1.37")
	for _, header := range action.HTTPHeaders {
		if http.CanonicalHeaderKey(header.Name) == "Host" {
			request.Host = header.Value
			continue
		}
		request.Header.Add(header.Name, header.Value)
	}
	// Each probe is a connection of its own: one that was kept would say nothing
	// about whether the program still accepts any.
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as every kubelet
	}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return err
	}
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(body))
	}
	return nil
}

func (c *container) connect(ctx context.Context, action *corev1.TCPSocketAction) error {
	port, err := c.port(action.Port)
	if err != nil {
		return err
	}
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(c.host(action.Host), port))
	if err != nil {
		return err
	}
	return connection.Close()
}

// exec runs a command in the container, as the container's user.
func (c *container) exec(ctx context.Context, process *sandbox.Container, spec *sandbox.Spec, command []string) error {
	inside := *spec
	inside.Args = command
	var output bytes.Buffer
	code, err := process.Exec(ctx, &inside, nil, &output, &output)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("%s ended with %d: %s", command[0], code, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

func (c *container) host(host string) string {
	if host == "" {
		return c.worker.network.IP.String()
	}
	return host
}

// port is a number, or the number of a port of the container with that name.
func (c *container) port(port intstr.IntOrString) (string, error) {
	if port.Type == intstr.Int {
		return strconv.Itoa(port.IntValue()), nil
	}
	for i := range c.spec.Ports {
		if c.spec.Ports[i].Name == port.StrVal {
			return strconv.Itoa(int(c.spec.Ports[i].ContainerPort)), nil
		}
	}
	return "", fmt.Errorf("there is no port %s", port.StrVal)
}
