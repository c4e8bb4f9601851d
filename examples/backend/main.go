// Command backend runs the backends of the examples: nginx-1 on 127.0.0.1:9081
// and nginx-2 on 127.0.0.1:9082. Each answers every request with its name, the
// method and the URL.
//
//	backend                     until Ctrl-C
//	backend COMMAND [ARG...]    for as long as COMMAND runs, with its exit status
//
// On Ctrl-C or SIGTERM the command is asked to end (SIGTERM), waited for, and after
// 20 seconds killed, so that nothing is left behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// grace is how long the command has to end before it is killed.
const grace = 20 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "backend:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command []string) error {
	for _, b := range []struct{ name, address string }{
		{"nginx-1", "127.0.0.1:9081"},
		{"nginx-2", "127.0.0.1:9082"},
	} {
		server, stopped, err := serve(ctx, b.name, b.address)
		if err != nil {
			return err
		}
		defer func() {
			_ = server.Close() // nobody is left to be told
			<-stopped
		}()
		fmt.Printf("%s answers on http://%s\n", b.name, b.address)
	}
	if len(command) == 0 {
		<-ctx.Done()
		return nil
	}
	return runCommand(ctx, command)
}

func serve(ctx context.Context, name, address string) (*http.Server, <-chan struct{}, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("start %s: %w", name, err)
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "%s %s http://%s%s\n", name, r.Method, r.Host, r.URL.RequestURI()) // the client may be gone
		}),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(os.Stderr, "backend: %s stopped: %v\n", name, err)
		}
	}()
	return server, stopped, nil
}

// runCommand runs a command until it ends, or ctx does. To be asked to end, and
// to do so with status 0, is no error.
func runCommand(ctx context.Context, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// Out of the terminal's process group, so that Ctrl-C reaches it once: through
	// Cancel. Many programs take a second signal as an order to drop everything.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	if err := cmd.Run(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
