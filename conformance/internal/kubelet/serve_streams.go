package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/utils/exec"
)

const (
	streamIdle     = 4 * time.Hour
	streamCreation = 30 * time.Second
)

// portForward serves `kubectl port-forward`: connections to ports on the loopback of a
// pod.
func (s *server) portForward(response http.ResponseWriter, request *http.Request) {
	worker, err := s.worker(request.PathValue("namespace"), request.PathValue("pod"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusNotFound)
		return
	}
	options, err := portforward.NewV4Options(request)
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(response, request, worker, "", "", options, streamIdle, streamCreation, portforward.SupportedProtocols)
}

// PortForward joins a stream to a port of the pod. Names are not looked at: there is
// one pod that this can be.
func (w *worker) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	var connection net.Conn
	if err := w.network.Do(func() (err error) {
		var dialer net.Dialer
		connection, err = dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
		return err
	}); err != nil {
		return err
	}
	defer connection.Close()
	stop := context.AfterFunc(ctx, func() { connection.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(connection, stream) // whoever ends first ends both
		_ = connection.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(stream, connection)
	stream.Close()
	both.Wait()
	return nil
}

// exec serves `kubectl exec`, without a terminal.
func (s *server) exec(response http.ResponseWriter, request *http.Request) {
	container, err := s.find(request.PathValue("namespace"), request.PathValue("pod"), request.PathValue("container"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusNotFound)
		return
	}
	options, err := remotecommand.NewOptions(request)
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(response, request, container, "", "", "", request.URL.Query()["command"], options,
		streamIdle, streamCreation, remotecommand.SupportedStreamingProtocols)
}

// ExecInContainer runs a command beside the container's program. Names are not looked
// at: there is one container that this can be.
func (c *container) ExecInContainer(ctx context.Context, _, _, _ string, command []string, in io.Reader, out, err io.WriteCloser,
	tty bool, _ <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	if tty {
		return errors.New("there are no terminals here: leave out -t")
	}
	process, _ := c.current()
	if process == nil {
		return errors.New("the container does not run")
	}
	spec, failure := c.sandboxSpec()
	if failure != nil {
		return failure
	}
	spec.Args = command
	code, failure := process.Exec(ctx, spec, in, writerOr(out), writerOr(err))
	switch {
	case failure != nil:
		return failure
	case code != 0:
		return exec.CodeExitError{Err: fmt.Errorf("exit status %d", code), Code: code}
	default:
		return nil
	}
}

// writerOr is a writer, or, where there is none, one that throws away: an interface
// with nothing in it is not nil to whoever is handed it.
func writerOr(writer io.WriteCloser) io.Writer {
	if writer == nil {
		return io.Discard
	}
	return writer
}

var (
	_ portforward.PortForwarder = (*worker)(nil)
	_ remotecommand.Executor    = (*container)(nil)
)
