// Package process is what every service command shares: flags, a logger, health
// and metrics over HTTP, and a log that is opened again when it breaks.
//
//	Options (flags) ──► Run ──► work(ctx, Process)              until ctx ends
//	                     │          └──► OnLog ──► Session ──► the service     again after each error
//	                     └──► /healthz  /readyz  /metrics
//
// A service command binds the flags, and does the rest in work:
//
//	return process.Run(ctx, process.Config{Options: o, Version: version, Output: env.err}, func(ctx context.Context, p *process.Process) error {
//		return p.OnLog(ctx, func(ctx context.Context, s *process.Session) error {
//			service, err := projector.New(projector.Config{Events: s.Streams[events.StreamEvents], Registerer: s.Registerer, ...})
//			if err != nil {
//				return err
//			}
//			p.ReadyWhen(service.Ready)
//			return service.Run(ctx)
//		})
//	})
//
// It promises that nothing global is used (no logger, no registry), that
// everything it started has ended when Run returns, and that a service is not
// ready before it says so, while it waits to be started again, and once it is
// asked to end. It refuses to end a service because of an error that may pass:
// whoever supervises the process sees it in /readyz and in the metrics.
//
// How a line of a log names an object is said in about.go, for all services.
//
// Read process.go first, then session.go and options.go.
package process
