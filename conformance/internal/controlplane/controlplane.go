package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// ControlPlane is a running control plane.
type ControlPlane struct {
	Etcd, APIServer, ControllerManager *Process

	cfg   Config
	token string
	ca    []byte
}

// Start brings up all three processes, and returns when the API can be used and the
// controllers run. What was started is stopped when it returns an error.
func Start(ctx context.Context, cfg Config) (*ControlPlane, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("control plane: %w", err)
	}
	plane := &ControlPlane{cfg: cfg}
	if err := plane.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("control plane: %w", err), plane.Stop())
	}
	return plane, nil
}

func (p *ControlPlane) start(ctx context.Context) error {
	if err := p.writeCredentials(time.Now()); err != nil {
		return fmt.Errorf("make credentials: %w", err)
	}
	kubeconfig := filepath.Join(p.cfg.State, "kubeconfig")
	if err := p.WriteKubeconfig(kubeconfig, p.Address()); err != nil {
		return err
	}
	p.Etcd = newProcess(&p.cfg, "etcd", etcdArguments(&p.cfg), func(ctx context.Context) error {
		return answers(ctx, etcdClient+"/health")
	})
	p.APIServer = newProcess(&p.cfg, "kube-apiserver", apiServerArguments(&p.cfg), func(ctx context.Context) error {
		return p.healthy(ctx, "/readyz")
	})
	p.ControllerManager = newProcess(&p.cfg, "kube-controller-manager", controllerManagerArguments(&p.cfg, kubeconfig), p.controllersRun)
	for _, process := range []*Process{p.Etcd, p.APIServer, p.ControllerManager} {
		begin := time.Now()
		if err := process.Start(ctx); err != nil {
			return err
		}
		p.cfg.Logger.Debug("process is ready", "name", filepath.Base(process.path), "seconds", time.Since(begin).Seconds())
	}
	return nil
}

// Stop ends what runs, in the opposite order and without asking: what they would tidy
// up ends as well.
func (p *ControlPlane) Stop() error {
	var errs []error
	for _, process := range []*Process{p.ControllerManager, p.APIServer, p.Etcd} {
		if process != nil {
			errs = append(errs, process.Kill())
		}
	}
	return errors.Join(errs...)
}

// Address is where the API server listens.
func (p *ControlPlane) Address() netip.AddrPort { return netip.AddrPortFrom(p.cfg.Node, apiPort) }

// Client is the configuration of a client with all rights, for use inside.
func (p *ControlPlane) Client() *rest.Config {
	return &rest.Config{
		Host:            "https://" + p.Address().String(),
		BearerToken:     p.token,
		TLSClientConfig: rest.TLSClientConfig{CAData: p.ca},
		QPS:             -1, // whoever wants to be limited says so
	}
}

// KubeletCertificate are the files of the certificate with which the kubelet serves,
// and the authority that signed it and the API server's as a client.
func (p *ControlPlane) KubeletCertificate() (certificate, key, authority string) {
	file := func(name string) string { return filepath.Join(p.cfg.State, name) }
	return file("kubelet.crt"), file("kubelet.key"), file("ca.crt")
}

// writeCredentials fills the state directory with certificates, keys and tokens.
func (p *ControlPlane) writeCredentials(now time.Time) error {
	authority, err := newAuthority(p.cfg.State, now)
	if err != nil {
		return err
	}
	service := p.cfg.Services.Masked().Addr().Next()
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	if err := authority.issue("apiserver", now, names, []netip.Addr{loopback, p.cfg.Node, service, p.cfg.Outside}); err != nil {
		return err
	}
	if err := authority.issue("kubelet", now, nil, []netip.Addr{p.cfg.Node}); err != nil {
		return err
	}
	if err := writeServiceAccountKeys(p.cfg.State); err != nil {
		return err
	}
	if p.token, err = newToken(); err != nil {
		return err
	}
	tokens := p.token + `,admin,admin,"system:masters"` + "\n"
	if err := os.WriteFile(filepath.Join(p.cfg.State, "tokens.csv"), []byte(tokens), 0o600); err != nil {
		return err
	}
	p.ca, err = os.ReadFile(filepath.Join(p.cfg.State, "ca.crt"))
	return err
}

func (p *ControlPlane) healthy(ctx context.Context, path string) error {
	clients, err := kubernetes.NewForConfig(p.Client())
	if err != nil {
		return err
	}
	return clients.Discovery().RESTClient().Get().AbsPath(path).Do(ctx).Error()
}

// answers returns nil when a URL answers with 200.
func answers(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}
