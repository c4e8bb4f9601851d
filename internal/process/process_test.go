package process_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/internal/gwtest"
	"github.com/rutter-gateway/rutter/internal/process"
)

// options are the defaults, on any port.
func options(t *testing.T, args ...string) process.Options {
	t.Helper()
	var o process.Options
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Bind(flags)
	if err := flags.Parse(append([]string{"--http-address", "127.0.0.1:0"}, args...)); err != nil {
		t.Fatal(err)
	}
	return o
}

// running is a process under test.
type running struct {
	t       *testing.T
	process *process.Process
	url     string
	done    chan error
	stop    func()
}

// start runs work until stop is called, and gives it back once it works.
func start(t *testing.T, o process.Options, work func(context.Context, *process.Process) error) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{t: t, done: make(chan error, 1), stop: stop}
	working := make(chan *process.Process, 1)
	var log bytes.Buffer // written before the work begins
	go func() {
		r.done <- process.Run(ctx, process.Config{Options: o, Version: "v1", Output: &first{to: &log}}, func(ctx context.Context, p *process.Process) error {
			working <- p
			return work(ctx, p)
		})
	}()
	select {
	case r.process = <-working:
		var started struct{ Address string }
		if err := json.Unmarshal(log.Bytes(), &started); err != nil {
			t.Fatalf("%v: %s", err, log.String())
		}
		r.url = "http://" + started.Address
	case err := <-r.done:
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return r
}

// first passes on one line.
type first struct {
	to   io.Writer
	once sync.Once
}

func (f *first) Write(line []byte) (int, error) {
	f.once.Do(func() { _, _ = f.to.Write(line) })
	return len(line), nil
}

func (r *running) get(path string) (int, string) {
	r.t.Helper()
	response, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(body))
}

// eventually asks until path is answered so.
func (r *running) eventually(path string, code int, text string) {
	r.t.Helper()
	gwtest.Eventually(r.t, path, func() error {
		if gotCode, got := r.get(path); gotCode != code || !strings.Contains(got, text) {
			return fmt.Errorf("it is answered %d %q, want %d %q", gotCode, got, code, text)
		}
		return nil
	})
}

func wait(ctx context.Context, _ *process.Process) error { <-ctx.Done(); return ctx.Err() }

func TestReadyIsWhatTheServiceSays(t *testing.T) {
	r := start(t, options(t), wait)
	r.eventually("/healthz", 200, "ok")
	r.eventually("/readyz", 503, "starting")
	r.process.ReadyWhen(func() error { return errors.New("3 events behind") })
	r.eventually("/readyz", 503, "3 events behind")
	r.process.ReadyWhen(func() error { return nil })
	r.eventually("/readyz", 200, "ok")
	r.eventually("/metrics", 200, `rutter_build_info{version="v1"} 1`)
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://")); err == nil {
		_ = conn.Close()
		t.Error("health is still served after the end")
	}
}

func TestWhatIsAskedToEndIsNotReadyUntilItHasEnded(t *testing.T) {
	release := make(chan struct{})
	r := start(t, options(t), func(ctx context.Context, p *process.Process) error {
		p.ReadyWhen(func() error { return nil })
		<-ctx.Done()
		<-release
		return ctx.Err()
	})
	r.eventually("/readyz", 200, "ok")
	r.stop()
	r.eventually("/readyz", 503, "ending")
	close(release)
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

func TestAnErrorOfTheWorkEndsTheProcess(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct{ gives, want error }{{broken, broken}, {nil, errors.New("the service ended without being asked to")}} {
		err := process.Run(t.Context(), process.Config{Options: options(t), Output: io.Discard}, func(context.Context, *process.Process) error { return c.gives })
		if err == nil || err.Error() != c.want.Error() {
			t.Errorf("work gives %v: %v, want %v", c.gives, err, c.want)
		}
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	for flag, want := range map[string]string{
		"--cluster=":                    "--cluster is empty",
		"--nats-url=":                   "--nats-url is empty",
		"--nats-replicas=2":             "--nats-replicas is 2",
		"--nats-key-file=k":             "belong together",
		"--log-level=loud":              `--log-level is "loud"`,
		"--log-format=xml":              `--log-format is "xml"`,
		"--http-address=256.0.0.1:http": "serve health and metrics",
	} {
		err := process.Run(t.Context(), process.Config{Options: options(t, flag), Output: io.Discard}, wait)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", flag, err, want)
		}
	}
}

func TestALogIsWrittenAsAskedForUnderTheNameOfTheHost(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string]string{"json": `"msg":"started","name":"` + host, "text": "msg=started name=" + host} {
		var out bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		err := process.Run(ctx, process.Config{Options: options(t, "--log-format", format), Output: &out}, func(ctx context.Context, p *process.Process) error {
			p.Logger.Debug("not told")
			stop()
			return wait(ctx, p)
		})
		if err != nil || !strings.Contains(out.String(), want) || strings.Contains(out.String(), "not told") {
			t.Errorf("%s: %v %s", format, err, out.String())
		}
	}
}

func TestTheLogIsOpenedAgainAfterAnError(t *testing.T) {
	var mu sync.Mutex
	lives := 0
	r := start(t, options(t, "--nats-url", gwtest.NATS(t)), func(ctx context.Context, p *process.Process) error {
		return p.OnLog(ctx, func(ctx context.Context, s *process.Session) error {
			life := prometheus.NewGauge(prometheus.GaugeOpts{Name: "life"})
			if err := s.Registerer.Register(life); err != nil {
				return err
			}
			mu.Lock()
			lives++
			life.Set(float64(lives))
			first := lives == 1
			mu.Unlock()
			if _, err := s.Streams[events.StreamReceipts].Info(ctx); err != nil || first {
				return errors.Join(err, errors.New("the stream broke"))
			}
			p.ReadyWhen(func() error { return nil })
			return wait(ctx, p)
		})
	})
	r.eventually("/readyz", 200, "ok")
	r.eventually("/metrics", 200, "\nlife 2\n")
	r.eventually("/metrics", 200, "rutter_service_restarts_total 1")
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

func TestWithoutNATSItIsNotReadyAndEndsWhenAsked(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "nats://" + nobody.Addr().String()
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	r := start(t, options(t, "--nats-url", url), func(ctx context.Context, p *process.Process) error {
		return p.OnLog(ctx, func(context.Context, *process.Session) error { return errors.New("there is no log") })
	})
	r.eventually("/readyz", 503, "connecting to NATS")
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

func TestRetryWaitsLongerUntilTheWorkIsStable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		var starts []time.Duration
		var counts []int
		process.Retry(ctx, func(context.Context) error {
			starts = append(starts, time.Since(began))
			switch len(starts) {
			case 4:
				time.Sleep(time.Minute)
			case 6:
				cancel()
			}
			return nil
		}, func(err error, retryCount int) {
			if err == nil {
				t.Error("no error is told")
			}
			counts = append(counts, retryCount)
		})
		const ms = time.Millisecond
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 700*ms + time.Minute + 100*ms, 700*ms + time.Minute + 300*ms}
		for i := range want {
			if len(starts) != len(want) || starts[i] != want[i] {
				t.Fatalf("started at %v, want %v", starts, want)
			}
		}
		if len(counts) != 5 || counts[2] != 3 || counts[3] != 1 {
			t.Errorf("counted %v", counts)
		}
	})
}

func TestReconcilesAreCountedAndTimed(t *testing.T) {
	r := start(t, options(t), func(ctx context.Context, p *process.Process) error {
		done, err := process.NewReconcile(p.Registry, "tester")
		if err != nil {
			return err
		}
		done.Done(3*time.Millisecond, nil)
		done.Done(time.Second, errors.New("bad"))
		return wait(ctx, p)
	})
	r.eventually("/metrics", 200, `controller_reconcile_total{controller="tester",result="success"} 1`)
	r.eventually("/metrics", 200, `controller_reconcile_total{controller="tester",result="error"} 1`)
	// The buckets double from 1 ms.
	for bucket, n := range map[string]int{"0.001": 0, "0.002": 0, "0.004": 1, "1.024": 2} {
		r.eventually("/metrics", 200, fmt.Sprintf(`controller_reconcile_duration_seconds_bucket{controller="tester",le=%q} %d`, bucket, n))
	}
}
