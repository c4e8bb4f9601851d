// Package install puts Rutter into a cluster as a person would: the CRDs of the Gateway
// API with kubectl, and what the chart renders with helm.
//
// What is tested and measured is what it installs: no process is started any other way.
package install

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Namespace is where the chart is installed, and Release under which name.
const (
	Namespace = "rutter-system"
	Release   = "rutter"
)

// Programs are the commands that install.
type Programs struct {
	// Bin is the repository's directory of built programs, Kubeconfig that of the
	// cluster.
	Bin, Kubeconfig string
}

// CRDs installs the Gateway API, from a directory of its module: "" for the standard
// channel, or the name of another one.
func (p *Programs) CRDs(ctx context.Context, channel string) error {
	module, err := output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api"))
	if err != nil {
		return err
	}
	dir := filepath.Join(strings.TrimSpace(module), "config", "crd", channel)
	if _, err := p.Kubectl(ctx, "apply", "--server-side", "--kustomize", dir); err != nil {
		return err
	}
	_, err = p.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
	return err
}

// Chart installs Rutter, and returns when all that the chart renders is ready.
func (p *Programs) Chart(ctx context.Context, chart string) error {
	_, err := p.run(ctx, filepath.Join(p.Bin, "helm"), "install", Release, chart,
		"--namespace", Namespace, "--create-namespace", "--wait", "--timeout", "3m")
	return err
}

// Kubectl runs kubectl, and returns what it printed.
func (p *Programs) Kubectl(ctx context.Context, arguments ...string) (string, error) {
	return p.run(ctx, filepath.Join(p.Bin, "k8s", "kubectl"), arguments...)
}

func (p *Programs) run(ctx context.Context, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+p.Kubeconfig)
	return output(command)
}

// output runs a command, and returns what it printed; where it fails, in the error.
func output(command *exec.Cmd) (string, error) {
	var printed, complaints bytes.Buffer
	command.Stdout, command.Stderr = &printed, &complaints
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s%s", strings.Join(command.Args, " "), err, printed.Bytes(), complaints.Bytes())
	}
	return printed.String(), nil
}
