package suite

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are the commands by which a person would install Rutter, too.
type programs struct {
	bin        string // the repository's
	kubeconfig string
}

// installCRDs installs the Gateway API, from the version of the module that is built
// in.
func (p *programs) installCRDs(ctx context.Context, channel Channel) error {
	module, err := output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api"))
	if err != nil {
		return err
	}
	dir := filepath.Join(strings.TrimSpace(module), "config", "crd")
	if channel != Standard {
		dir = filepath.Join(dir, string(channel))
	}
	if _, err := p.kubectl(ctx, "apply", "--server-side", "--kustomize", dir); err != nil {
		return err
	}
	_, err = p.kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
	return err
}

// installChart installs Rutter, and returns when all that the chart renders is ready.
func (p *programs) installChart(ctx context.Context, chart string) error {
	_, err := p.run(ctx, filepath.Join(p.bin, "helm"), "install", "rutter", chart,
		"--namespace", "rutter-system", "--create-namespace", "--wait", "--timeout", "3m")
	return err
}

func (p *programs) kubectl(ctx context.Context, arguments ...string) (string, error) {
	return p.run(ctx, filepath.Join(p.bin, "k8s", "kubectl"), arguments...)
}

func (p *programs) run(ctx context.Context, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, name, arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+p.kubeconfig)
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
