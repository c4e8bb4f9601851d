// Package kubelet runs the pods of a cluster as processes of this machine.
//
//	pods ──► bind ──► worker, one per pod ──► network, volumes ──► init containers ──► containers
//	                     │                                                               │ probes
//	                     └──────────────── status ◄──────────────────────────────────────┘
//	API server ──► server: logs, port-forward, exec
//
// It is the kubelet of the only node, and the scheduler too: every pod is bound at
// once. An image is the name of a program on this machine, see [Image]; nothing is
// pulled.
//
// What it promises is what a program inside can see of a kubelet: environment, volumes
// and their updates, tokens of its service account, user and read-only root, probes,
// restarts, hooks, a grace period when it ends; and what a controller can see of it in
// the API: phases, conditions, exit codes, and that a pod is gone only when its
// processes are. Limits of CPU and memory are not enforced, host networks and paths are
// refused, host ports are ignored, and affinity, taints and priorities mean nothing with one node.
//
// Read kubelet.go first, then worker.go (one pod), container.go (one container), and
// status.go (what is said of them).
package kubelet
