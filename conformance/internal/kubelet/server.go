package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

// server answers the API server: what is asked with kubectl of a pod comes here.
type server struct {
	kubelet  *Kubelet
	listener net.Listener
	http     *http.Server
}

// newServer listens on the node's address. Only clients with a certificate that the
// cluster's authority signed are answered: pods can reach this address, too.
func newServer(k *Kubelet) (*server, error) {
	certificate, err := tls.LoadX509KeyPair(k.cfg.Certificate, k.cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("load the serving certificate: %w", err)
	}
	authority, err := os.ReadFile(k.cfg.Authority)
	if err != nil {
		return nil, fmt.Errorf("load the certificate authority: %w", err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(authority)
	address := netip.AddrPortFrom(k.cfg.Network.Node(), Port)
	listener, err := tls.Listen("tcp", address.String(), &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	})
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	s := &server{kubelet: k, listener: listener}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	mux.HandleFunc("/portForward/{namespace}/{pod}", s.portForward)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", s.exec)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return s, nil
}

func (s *server) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { s.http.Close() })
	defer stop()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		s.kubelet.cfg.Logger.Error("logs of pods are not served any more", "error", err)
	}
}

// worker returns the worker of a pod that has a network.
func (s *server) worker(namespace, pod string) (*worker, error) {
	s.kubelet.mu.Lock()
	defer s.kubelet.mu.Unlock()
	for _, worker := range s.kubelet.workers {
		found, _ := worker.current()
		if found.Namespace != namespace || found.Name != pod {
			continue
		}
		if !worker.isPrepared() {
			return nil, fmt.Errorf("pod %s/%s has not started yet", namespace, pod)
		}
		return worker, nil
	}
	return nil, fmt.Errorf("there is no pod %s/%s", namespace, pod)
}

// find returns a container of a pod that is, or was, running here.
func (s *server) find(namespace, pod, container string) (*container, error) {
	worker, err := s.worker(namespace, pod)
	if err != nil {
		return nil, err
	}
	worker.mu.Lock()
	defer worker.mu.Unlock()
	for _, candidate := range worker.containers {
		if candidate.spec.Name == container {
			return candidate, nil
		}
	}
	return nil, fmt.Errorf("container %s of pod %s/%s has not started yet", container, namespace, pod)
}
