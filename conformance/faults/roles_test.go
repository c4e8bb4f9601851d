package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/rutter-gateway/rutter/conformance/cluster"
	"github.com/rutter-gateway/rutter/conformance/install"
)

const rutter = install.Namespace

// roles are what the chart runs, by the names of the containers.
var roles = []string{"ingest", "projector", "xds-server", "status-writer", "provisioner", "nats"}

// processOf is the process of a container; there must be one.
func (r *rig) processOf(namespace, container string) cluster.Process {
	r.Helper()
	var found cluster.Process
	r.eventually("a process of "+container, func() error {
		for _, process := range r.Processes() {
			if process.Namespace == namespace && process.Container == container {
				found = process
				return nil
			}
		}
		return fmt.Errorf("there is none among %v", r.Processes())
	})
	return found
}

// kill ends the process of a container without asking, and returns once another one is
// there.
func (r *rig) kill(namespace, container string) {
	r.Helper()
	killed := r.processOf(namespace, container)
	r.must(syscall.Kill(killed.PID, syscall.SIGKILL))
	r.eventually("another "+container, func() error {
		for _, process := range r.Processes() {
			if process.Pod == killed.Pod && process.Container == container && process.PID != killed.PID {
				return nil
			}
		}
		return fmt.Errorf("%d was killed; processes are %v", killed.PID, r.Processes())
	})
}

// away ends ingest as an operator would, and returns what brings it back.
func (r *rig) away() (back func()) {
	r.Helper()
	scale := func(replicas string) {
		r.Helper()
		_, err := r.programs.Kubectl(r.Context(), "-n", rutter, "scale", "deployment", "rutter-ingest", "--replicas="+replicas)
		r.must(err)
	}
	scale("0")
	r.eventually("ingest has ended", func() error {
		for _, process := range r.Processes() {
			if process.Namespace == rutter && process.Container == "ingest" {
				return fmt.Errorf("%s runs", process.Pod)
			}
		}
		return nil
	})
	return func() {
		r.Helper()
		scale("1")
		r.processOf(rutter, "ingest")
	}
}

// logOf is what all processes of a role have printed so far.
func (r *rig) logOf(role string) string {
	r.Helper()
	files, err := filepath.Glob(filepath.Join(r.Logs, rutter+"_*"+role+"*"))
	r.must(err)
	var all strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		r.must(err)
		all.Write(content)
	}
	return all.String()
}

// ended tells whether a process is no longer there.
func (r *rig) ended(old cluster.Process) error {
	if slices.Contains(r.Processes(), old) {
		return fmt.Errorf("%s still runs", old.Pod)
	}
	return nil
}
