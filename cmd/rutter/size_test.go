package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The clientset of client-go, and all that leads to it, takes in the types of every kind
// of Kubernetes: a third of the program, and 12 MiB of memory in each process.
func TestTheProgramHasNotEveryKindOfKubernetes(t *testing.T) {
	list, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(strings.Fields(string(list)), "k8s.io/client-go/kubernetes/scheme") {
		t.Error("k8s.io/client-go/kubernetes/scheme is linked; `go list -deps -f '{{.ImportPath}}: {{.Imports}}' ./cmd/rutter` says by whom")
	}
}
