package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/dynamic"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/internal/pki"
	"github.com/rutter-gateway/rutter/internal/process"
	"github.com/rutter-gateway/rutter/provisioner"
)

// provisionerRequests is how much is asked of the API server, in a second.
const provisionerRequests = 50

// provisionerFlags are those of the command besides the common ones.
type provisionerFlags struct {
	apiFlags
	provisioner.Config
	caDir string
}

func newProvisionerCommand(env *environment) *cobra.Command {
	c := process.Config{Version: version, Output: env.err, Adopt: env.adopt}
	var f provisionerFlags
	var pullPolicy, serviceType string
	cmd := &cobra.Command{
		Use:   "provisioner",
		Short: "Service: build Envoys, a Service and certificates for each Gateway in Kubernetes",
		Long: `Service: build in Kubernetes what the Envoys of each Gateway need, as SNAPSHOTS say: a Deployment,
a Service, a ServiceAccount, a PodDisruptionBudget, a bootstrap and a certificate; and the
certificates of the xDS servers and of ingest's webhook.`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.Infra.PullPolicy, f.Infra.ServiceType = corev1.PullPolicy(pullPolicy), corev1.ServiceType(serviceType)
			return process.Run(cmd.Context(), c, func(ctx context.Context, p *process.Process) error {
				return p.OnLog(ctx, func(ctx context.Context, s *process.Session) error { return runProvisioner(ctx, p, s, f) })
			})
		},
	}
	flags := cmd.Flags()
	c.Bind(flags)
	f.bind(flags)
	flags.StringVar(&f.ControllerName, "controller-name", "rutter.dev/gateway-controller", "the controllerName of the GatewayClasses that are kept while Gateways use them")
	flags.StringVar(&f.Namespace, "namespace", "", "the namespace of this installation")
	flags.StringVar(&f.caDir, "ca-dir", "", "directory with tls.crt and tls.key of the CA")
	flags.StringVar(&f.ServerSecret, "xds-tls-secret", "rutter-xds-tls", "the Secret, in the namespace, in which the xDS servers find their certificate")
	flags.StringVar(&f.Webhook.Configuration, "webhook-configuration", "", "the ValidatingWebhookConfiguration by which ingest sees who asks for changes (default: there is none)")
	flags.StringVar(&f.Webhook.Host, "webhook-host", "", "the host by which the API server reaches that webhook")
	flags.StringVar(&f.Webhook.Secret, "webhook-tls-secret", "", "the Secret, in the namespace, in which that webhook finds its certificate")
	flags.StringVar(&f.Infra.XDSAddress, "xds-address", "", "HOST:PORT at which Envoys find the xDS servers")
	flags.StringVar(&f.Infra.EnvoyImage, "envoy-image", "", "the image of Envoy")
	flags.StringVar(&f.Infra.RutterImage, "rutter-image", "", "the image of Rutter, for the agent beside each Envoy")
	flags.StringVar(&pullPolicy, "image-pull-policy", "", "when images are pulled: Always, IfNotPresent or Never (default: by their tags)")
	flags.StringVar(&serviceType, "service-type", string(corev1.ServiceTypeLoadBalancer), "type of the Services: LoadBalancer, NodePort or ClusterIP")
	flags.Int32Var(&f.Infra.Replicas, "envoy-replicas", 0, "Envoys of each Gateway; 0 leaves the number to others, such as an autoscaler")
	flags.IntVar(&f.Infra.Concurrency, "envoy-concurrency", 0, "worker threads of each Envoy; 0 is one per core")
	flags.DurationVar(&f.Infra.DrainLeast, "drain-least", 5*time.Second, "how long an Envoy takes to end in any case")
	flags.DurationVar(&f.Infra.DrainMost, "drain-most", 30*time.Second, "after which time an Envoy ends although clients are connected")
	return cmd
}

func runProvisioner(ctx context.Context, p *process.Process, s *process.Session, f provisionerFlags) error {
	config, err := f.config(provisionerRequests)
	if err != nil {
		return err
	}
	c := f.Config
	if c.Client, err = dynamic.NewForConfig(config); err != nil {
		return fmt.Errorf("reach the Kubernetes API: %w", err)
	}
	versions, err := s.Log.Bucket(ctx, routing.CheckpointBucket)
	if err != nil {
		return err
	}
	follower, err := routing.Follow(ctx, s.Streams[events.StreamSnapshots], versions)
	if err != nil {
		return err
	}
	defer follower.Close()
	c.Snapshots, c.Measured, c.Authority = follower, s.Streams[events.StreamSnapshots], func() (*pki.Authority, error) { return readAuthority(f.caDir) }
	c.Now, c.Logger, c.Registerer = time.Now, p.Logger, s.Registerer
	service, err := provisioner.New(c)
	if err != nil {
		return err
	}
	p.ReadyWhen(service.Ready)
	return service.Run(ctx)
}

// readAuthority reads the CA from where a Secret is mounted.
func readAuthority(dir string) (*pki.Authority, error) {
	certificate, err := os.ReadFile(filepath.Join(dir, corev1.TLSCertKey))
	if err != nil {
		return nil, fmt.Errorf("read the CA: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(dir, corev1.TLSPrivateKeyKey))
	if err != nil {
		return nil, fmt.Errorf("read the CA: %w", err)
	}
	return pki.Parse(pki.Pair{Certificate: certificate, Key: key})
}
