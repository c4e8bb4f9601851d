package isolation_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rutter-gateway/rutter/conformance/internal/isolation"
)

func TestMain(m *testing.M) { os.Exit(isolation.Run(m.Run)) }

func TestTheNetworkIsItsOwn(t *testing.T) {
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range interfaces {
		if found.Flags&net.FlagLoopback == 0 && found.Flags&net.FlagUp != 0 {
			t.Errorf("interface %s of the machine is seen", found.Name)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("loopback is not up: %v", err)
	}
	listener.Close()
}

func TestTheProcessesAreItsOwn(t *testing.T) {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	if len(processes) > 4 {
		t.Errorf("%d processes are seen, want the init, this test and its like", len(processes))
	}
	if os.Getppid() != 1 {
		t.Errorf("the parent is %d, want the init", os.Getppid())
	}
}

// An orphan that nobody reaps would stay a zombie for as long as the cluster runs.
func TestOrphansAreReaped(t *testing.T) {
	output, err := exec.Command("sh", "-c", "sh -c 'exit 3' >/dev/null & echo $!").Output()
	if err != nil {
		t.Fatal(err)
	}
	status := filepath.Join("/proc", strings.TrimSpace(string(output)), "status")
	for deadline := time.After(10 * time.Second); ; {
		if _, err := os.Stat(status); os.IsNotExist(err) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s is still there", status)
		case <-time.Tick(time.Millisecond):
		}
	}
}

// The listener was made on the machine, so it is not on a loopback that is seen here.
func TestTheOutsideListenerIsOnTheMachine(t *testing.T) {
	listener, err := isolation.Outside()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if connection, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		connection.Close()
		t.Errorf("%s answers inside", listener.Addr())
	}
}
