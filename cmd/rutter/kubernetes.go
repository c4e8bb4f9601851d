package main

import (
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// apiFlags say how the Kubernetes API is reached.
type apiFlags struct{ kubeconfig string }

func (f *apiFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "how to reach the Kubernetes API (default: the service account of the pod)")
}

// config is how to reach the API, with room for so many requests a second.
func (f *apiFlags) config(perSecond int) (*rest.Config, error) {
	config, err := rest.InClusterConfig()
	if f.kubeconfig != "" {
		config, err = clientcmd.BuildConfigFromFlags("", f.kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API: %w", err)
	}
	config.UserAgent = "rutter/" + version
	config.QPS, config.Burst = float32(perSecond), 2*perSecond
	return config, nil
}
