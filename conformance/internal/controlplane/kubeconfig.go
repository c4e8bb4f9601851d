package controlplane

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// WriteKubeconfig writes a kubeconfig with all rights, for the API server under this
// address.
func (p *ControlPlane) WriteKubeconfig(path string, address netip.AddrPort) error {
	const name = "rutter-conformance"
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{Server: "https://" + address.String(), CertificateAuthorityData: p.ca}
	config.AuthInfos[name] = &api.AuthInfo{Token: p.token}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

func newToken() (string, error) {
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return hex.EncodeToString(random), nil
}

// controllersRun returns nil once the controllers have done something: every namespace
// gets a service account, without which no pod can be created in it.
func (p *ControlPlane) controllersRun(ctx context.Context) error {
	clients, err := kubernetes.NewForConfig(p.Client())
	if err != nil {
		return err
	}
	_, err = clients.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}
