package kubelet

import (
	"cmp"
	"slices"
)

// Process is the program of a running container.
type Process struct {
	Namespace, Pod, Container string
	// PID is its number in the namespaces of the cluster.
	PID int
}

// Processes are the programs that run now, in the order of their names.
func (k *Kubelet) Processes() []Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	var result []Process
	for _, worker := range k.workers {
		worker.mu.Lock()
		for _, container := range worker.containers {
			if process, _ := container.current(); process != nil {
				result = append(result, Process{container.pod.Namespace, container.pod.Name, container.spec.Name, process.PID()})
			}
		}
		worker.mu.Unlock()
	}
	slices.SortFunc(result, func(a, b Process) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container))
	})
	return result
}
