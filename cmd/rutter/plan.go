package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rutter-gateway/rutter/cmd/rutter/internal/history"
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/preview"
	"github.com/rutter-gateway/rutter/projector/fold"
	"github.com/rutter-gateway/rutter/projector/replay"
)

// planFlags are what `rutter plan` can be told.
type planFlags struct {
	reading
	files, delete []string
	at            string
}

func newPlanCommand(env *environment) *cobra.Command {
	var flags planFlags
	cmd := &cobra.Command{
		Use:   "plan -f FILE|DIR|- | --delete OBJECT",
		Short: "What applying manifests, or deleting objects, would do to conditions and routing",
		Long: `Fold manifests on top of what is recorded, and say what would come of it: which conditions
change, what differs in routing, and which hostnames and paths would go elsewhere. Nothing is
changed. Manifests are defaulted and validated as by the API server; what has no part in
routing is ignored, so that a rendering of helm or kustomize can be piped in.

Exit code 1 if something gets worse: a manifest would be refused, a condition turns bad, or
requests that are served lose their destination.`,
		Example: `  rutter plan -f shop.yaml --data-dir DIR
  kustomize build overlays/prod | rutter plan -f - --nats-url nats://127.0.0.1:4222
  rutter plan --delete service/default/v1 --data-dir DIR`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPlan(cmd.Context(), env, &flags, cmd)
		},
	}
	flags.bind(cmd)
	cmd.Flags().StringArrayVarP(&flags.files, "filename", "f", nil, "manifests: a file, a directory and all below it, or - for standard input; may be repeated")
	cmd.Flags().StringArrayVar(&flags.delete, "delete", nil, "an object that would be deleted, as kind/namespace/name; may be repeated")
	cmd.Flags().StringVar(&flags.at, "at", "", "T on top of which to plan: a time, a duration ago, or a version; now when left out")
	return cmd
}

func runPlan(ctx context.Context, env *environment, flags *planFlags, cmd *cobra.Command) error {
	if len(flags.files)+len(flags.delete) == 0 {
		return errors.New("say what is planned: -f FILE, a directory, or - for standard input; or --delete OBJECT")
	}
	config := preview.Config{Now: env.now().UTC()}
	for _, name := range flags.files {
		files, err := preview.ReadFiles(name, cmd.InOrStdin())
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("there are no manifests (*.yaml, *.yml, *.json) in %s", name)
		}
		config.Files = append(config.Files, files...)
	}
	point, err := history.ParsePoint(flags.at, env.now())
	if err != nil {
		return err
	}
	h, format, done, err := flags.open(ctx, env)
	if err != nil {
		return err
	}
	defer done()
	v, err := h.At(ctx, point)
	if err != nil {
		return err
	}
	state, err := h.Fold(ctx, v, fold.Everything)
	if err != nil {
		return err
	}
	for _, name := range flags.delete {
		key, err := history.ParseObject(name)
		if err != nil {
			return err
		}
		if state.Object(key) == nil {
			return fmt.Errorf("--delete %s: there is no %s at version %d", name, history.Object(key), v.Sequence)
		}
		config.Delete = append(config.Delete, key)
	}
	p, err := newPlan(state, config)
	if err != nil {
		return err
	}
	return flags.tell(env, format, p)
}

// newPlan folds what config says on top of a state, which is changed by that.
func newPlan(state *fold.State, config preview.Config) (*plan, error) {
	config.Resources = state.Settings.Resources
	config.Recorded = func(key events.Key) []byte {
		if o := state.Object(key); o != nil {
			return o.Recorded()
		}
		return nil
	}
	coming, err := preview.Of(config)
	if err != nil {
		return nil, err
	}
	p := &plan{At: moment{state.Version.String(), state.Time}}
	p.tell(coming, config.Recorded)
	engine := replay.FromState(state)
	before := routing.NewState()
	if s := engine.Project(); s != nil {
		if err := before.Apply(s); err != nil {
			return nil, err
		}
	}
	now := config.Now
	if now.Before(state.Time) { // clocks disagree
		now = state.Time
	}
	for _, e := range coming.Events {
		e.Sequence, e.Time = state.Version.Sequence+1, now
		if err := engine.Fold(e); err != nil {
			return nil, err
		}
	}
	s := engine.Project()
	if s == nil {
		return p, nil
	}
	return p, p.compare(before, s)
}
