package process

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/pflag"
)

// Options are the flags that all service commands have.
type Options struct {
	// Cluster is the cluster that is recorded and served; Name this process among
	// those that do the same.
	Cluster, Name string
	// HTTPAddress is where health and metrics are served.
	HTTPAddress string
	// LogLevel is debug, info, warn or error; LogFormat json or text.
	LogLevel, LogFormat string

	NATS NATS
}

// NATS says where the log is, and as whom to reach it.
type NATS struct {
	URL string
	// Credentials is the file of a NATS user, CA, Certificate and Key are PEM files.
	Credentials, CA, Certificate, Key string
	// Replicas is how many servers keep each stream.
	Replicas int
}

// Bind adds the flags, with their defaults.
func (o *Options) Bind(flags *pflag.FlagSet) {
	flags.StringVar(&o.Cluster, "cluster", "default", "name of the cluster, the same for all services of it")
	flags.StringVar(&o.Name, "name", "", "name of this process among its replicas (default the host name)")
	flags.StringVar(&o.HTTPAddress, "http-address", ":8080", "where /healthz, /readyz and /metrics are served")
	flags.StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&o.LogFormat, "log-format", "json", "json or text")
	flags.StringVar(&o.NATS.URL, "nats-url", "nats://127.0.0.1:4222", "NATS servers that hold the log, separated by commas")
	flags.StringVar(&o.NATS.Credentials, "nats-credentials-file", "", "credentials of a NATS user (.creds)")
	flags.StringVar(&o.NATS.CA, "nats-ca-file", "", "certificates of the authorities that sign the NATS servers' certificates")
	flags.StringVar(&o.NATS.Certificate, "nats-certificate-file", "", "client certificate for NATS")
	flags.StringVar(&o.NATS.Key, "nats-key-file", "", "private key of the client certificate for NATS")
	flags.IntVar(&o.NATS.Replicas, "nats-replicas", 1, "how many NATS servers keep each stream: 1, or 3 in a NATS cluster")
}

// validate checks the options and fills in the host name.
func (o *Options) validate() error {
	if o.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("find a name for this process: %w: use --name", err)
		}
		o.Name = host
	}
	switch {
	case o.Cluster == "":
		return errors.New("--cluster is empty")
	case o.NATS.URL == "":
		return errors.New("--nats-url is empty")
	case o.NATS.Replicas != 1 && o.NATS.Replicas != 3 && o.NATS.Replicas != 5:
		return fmt.Errorf("--nats-replicas is %d; use 1, 3 or 5", o.NATS.Replicas)
	case (o.NATS.Certificate == "") != (o.NATS.Key == ""):
		return errors.New("--nats-certificate-file and --nats-key-file belong together")
	}
	return nil
}

// logger is the one that the options ask for.
func (o *Options) logger(out io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return nil, fmt.Errorf("--log-level is %q; use debug, info, warn or error", o.LogLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch o.LogFormat {
	case "json":
		return slog.New(slog.NewJSONHandler(out, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(out, options)), nil
	}
	return nil, fmt.Errorf("--log-format is %q; use json or text", o.LogFormat)
}
