package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/conformance/internal/isolation"
	"github.com/rutter-gateway/rutter/conformance/internal/sandbox"
)

func TestMain(m *testing.M) { os.Exit(isolation.Run(m.Run)) }

// view is what testdata/look prints of its surroundings.
type view struct {
	Args, Env, Root            []string
	UID, GID, PID              int
	Groups                     []int
	Hostname, Dir              string
	CapEff, CapBnd, NoNewPrivs string
}

func TestAProgramSeesItsContainerAlone(t *testing.T) {
	runner, look := setUp(t)
	volume := t.TempDir()
	seen := look(runner, &sandbox.Spec{
		Args: []string{"look", "around"}, Env: []string{"PATH=/usr/local/bin", "A=b"},
		Hostname: "pod-1", Dir: "/data", Files: map[string]string{"/etc/hosts": "x"},
		Mounts: []sandbox.Mount{{Source: volume, Target: "/data"}},
		UID:    1000, GID: 1001, Groups: []int{1002}, Capabilities: sandbox.DefaultCapabilities(), NoNewPrivileges: true,
	})
	want := view{
		Args: []string{"look", "around"}, Env: []string{"PATH=/usr/local/bin", "A=b"},
		Root: []string{"/data", "/dev", "/etc", "/proc", "/root", "/run", "/sys", "/tmp", "/usr", "/var"},
		UID:  1000, GID: 1001, PID: 1, Groups: []int{1002}, Hostname: "pod-1", Dir: "/data",
		CapEff: "0000000000000000", CapBnd: "00000000a80425fb", NoNewPrivs: "1",
	}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("seen\n%+v\nwant\n%+v", seen, want)
	}
}

func TestRootHasTheCapabilitiesThatItWasGiven(t *testing.T) {
	runner, look := setUp(t)
	seen := look(runner, &sandbox.Spec{Args: []string{"/usr/local/bin/look", "around"}, Hostname: "pod-1"})
	if seen.UID != 0 || seen.CapEff != "0000000000000000" || seen.CapBnd != "0000000000000000" {
		t.Errorf("without capabilities: %+v", seen)
	}
	seen = look(runner, &sandbox.Spec{
		Args: []string{"/usr/local/bin/look", "around"}, Hostname: "pod-1", Capabilities: sandbox.DefaultCapabilities(),
	})
	if seen.CapEff != "00000000a80425fb" {
		t.Errorf("with the default ones: %+v", seen)
	}
}

func TestReadOnlyIsReadOnly(t *testing.T) {
	runner, _ := setUp(t)
	open, closed := t.TempDir(), t.TempDir()
	for _, test := range []struct {
		path     string
		writable bool
	}{
		{"/file", false}, {"/etc/file", false}, {"/tmp/file", false}, {"/closed/file", false},
		{"/open/file", true}, {"/dev/shm/file", true}, {"/dev/null", true},
	} {
		code, output := run(t, runner, &sandbox.Spec{
			Args: []string{"/usr/local/bin/look", "write", test.path}, Hostname: "pod-1", ReadOnly: true,
			Mounts: []sandbox.Mount{{Source: open, Target: "/open"}, {Source: closed, Target: "/closed", ReadOnly: true}},
		})
		if (code == 0) != test.writable {
			t.Errorf("%s: %d %s", test.path, code, output)
		}
	}
	if _, err := os.Stat(filepath.Join(open, "file")); err != nil {
		t.Errorf("what was written is not outside: %v", err)
	}
}

func TestEnds(t *testing.T) {
	runner, _ := setUp(t)
	t.Run("with the code of the program", func(t *testing.T) {
		if code, output := run(t, runner, &sandbox.Spec{Args: []string{"/usr/local/bin/look", "exit", "7"}, Hostname: "p"}); code != 7 {
			t.Errorf("ended with %d: %s", code, output)
		}
	})
	t.Run("with 128 and a reason when there is no such program", func(t *testing.T) {
		code, output := run(t, runner, &sandbox.Spec{Args: []string{"sh"}, Env: []string{"PATH=/usr/local/bin"}, Hostname: "p"})
		if code != 128 || !strings.Contains(output, "sh is not in the image") {
			t.Errorf("ended with %d: %s", code, output)
		}
	})
	t.Run("when the program heeds SIGTERM", func(t *testing.T) {
		container, output := start(t, runner, "wait", "waiting\n")
		signal(t, container, syscall.SIGTERM)
		await(t, container)
		if code, _ := container.Exit(); code != 0 || output() != "waiting\nterminated\n" {
			t.Errorf("ended with %d: %s", code, output())
		}
	})
	t.Run("by SIGKILL when it does not", func(t *testing.T) {
		container, _ := start(t, runner, "hang", "hanging\n")
		signal(t, container, syscall.SIGTERM)
		signal(t, container, syscall.SIGKILL)
		await(t, container)
		if code, by := container.Exit(); code != 137 || by != 9 {
			t.Errorf("ended with %d by %d", code, by)
		}
	})
}

func TestExec(t *testing.T) {
	runner, _ := setUp(t)
	container, _ := start(t, runner, "wait", "waiting\n")
	t.Cleanup(func() {
		signal(t, container, syscall.SIGKILL)
		await(t, container)
	})
	exec := func(ctx context.Context, args ...string) (int, string, error) {
		var output bytes.Buffer
		code, err := container.Exec(ctx, &sandbox.Spec{
			Args: append([]string{"look"}, args...), Env: []string{"PATH=/usr/local/bin"}, Hostname: "p", UID: 5,
		}, nil, &output, &output)
		return code, output.String(), err
	}
	if code, output, err := exec(t.Context(), "exit", "3"); code != 3 || err != nil {
		t.Errorf("ended with %d, %v: %s", code, err, output)
	}
	_, output, err := exec(t.Context(), "around")
	var seen view
	if err := json.Unmarshal([]byte(output), &seen); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if err != nil || seen.Hostname != "pod-1" || seen.UID != 5 || seen.PID == 1 || seen.Root[0] != "/dev" {
		t.Errorf("seen %+v, %v", seen, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := exec(ctx, "wait"); err == nil {
		t.Error("a program that hangs is waited for")
	}
}

// setUp builds cmd/container and testdata/look, and returns a function that has the
// latter look around in a container.
func setUp(t *testing.T) (*runnerWithLook, func(*runnerWithLook, *sandbox.Spec) view) {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir, "../../cmd/container", "./testdata/look")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	scratch := filepath.Join(dir, "root")
	if err := os.Mkdir(scratch, 0o700); err != nil {
		t.Fatal(err)
	}
	runner := &runnerWithLook{
		Runner: sandbox.Runner{Program: filepath.Join(dir, "container"), Scratch: scratch},
		look:   sandbox.Mount{Source: filepath.Join(dir, "look"), Target: "/usr/local/bin/look", ReadOnly: true},
	}
	return runner, func(runner *runnerWithLook, spec *sandbox.Spec) view {
		t.Helper()
		code, output := run(t, runner, spec)
		var seen view
		if err := json.Unmarshal([]byte(output), &seen); err != nil || code != 0 {
			t.Fatalf("ended with %d, %v: %s", code, err, output)
		}
		return seen
	}
}

type runnerWithLook struct {
	sandbox.Runner
	look sandbox.Mount
}

func (r *runnerWithLook) Start(spec *sandbox.Spec, output io.Writer) (*sandbox.Container, error) {
	spec.Mounts = append([]sandbox.Mount{r.look}, spec.Mounts...)
	return r.Runner.Start(spec, output, output)
}

func run(t *testing.T, runner *runnerWithLook, spec *sandbox.Spec) (int, string) {
	t.Helper()
	var output bytes.Buffer
	container, err := runner.Start(spec, &output)
	if err != nil {
		t.Fatal(err)
	}
	await(t, container)
	code, _ := container.Exit()
	return code, output.String()
}

// start runs look, and returns once it has said that it is ready. The function that is
// returned tells, after its end, all that it has said.
func start(t *testing.T, runner *runnerWithLook, action, ready string) (*sandbox.Container, func() string) {
	t.Helper()
	read, write := io.Pipe()
	container, err := runner.Start(&sandbox.Spec{Args: []string{"/usr/local/bin/look", action}, Hostname: "pod-1"}, write)
	if err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len(ready))
	if _, err := io.ReadFull(read, said); err != nil || string(said) != ready {
		t.Fatalf("said %q, %v", said, err)
	}
	copied := make(chan struct{})
	rest := bytes.NewBuffer(said)
	go func() {
		defer close(copied)
		_, _ = io.Copy(rest, read)
	}()
	end := sync.OnceValue(func() string {
		write.Close()
		<-copied
		return rest.String()
	})
	t.Cleanup(func() { end() })
	return container, end
}

func signal(t *testing.T, container *sandbox.Container, signal syscall.Signal) {
	t.Helper()
	if err := container.Signal(signal); err != nil {
		t.Error(err)
	}
}

func await(t *testing.T, container *sandbox.Container) {
	t.Helper()
	select {
	case <-container.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the container does not end")
	}
}
