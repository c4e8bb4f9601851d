package main

import (
	"errors"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/setup"
)

// initRequests is how much is asked of the API server, in a second.
const initRequests = 10

func newInitCommand(env *environment) *cobra.Command {
	var api apiFlags
	var namespace string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the keys of an installation in Kubernetes, where they do not exist yet",
		Long: `Make the keys of an installation in Kubernetes, where they do not exist yet: the Secret
` + setup.IdentitySecret + ` (opens the private keys in the log), the ConfigMap ` + setup.RecipientMap + ` (seals them), and the
Secrets ` + setup.AuthoritySecret + ` (signs the certificates of Envoys and xDS servers) and ` + setup.NATSSecret + ` (lets the services into
NATS). What is there stays.`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if namespace == "" {
				return errors.New("init needs the --namespace of the installation")
			}
			config, err := api.config(initRequests)
			if err != nil {
				return err
			}
			client, err := setup.NewClient(config)
			if err != nil {
				return err
			}
			return setup.Run(cmd.Context(), setup.Config{Client: client, Namespace: namespace, Now: env.now(), Logger: slog.New(slog.NewJSONHandler(env.err, nil))})
		},
	}
	api.bind(cmd.Flags())
	cmd.Flags().StringVar(&namespace, "namespace", "", "the namespace of the installation")
	return cmd
}
