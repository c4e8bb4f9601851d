// Package cluster is a Kubernetes cluster of one node that needs no container runtime:
// a real control plane, and everything of a node that a program in a pod depends on.
//
//	Start ──► control plane ──► kubelet ──► pods, each with a network and a root of its own
//	      └─► Services and load balancers, DNS
//
// It starts in a few seconds, so that a test can have its own. The calling process
// must run in namespaces of its own (see [Main]), from which the addresses of pods and
// Services can be reached; [Cluster.Client] is the door to everything else.
//
//	func TestMain(m *testing.M) { os.Exit(cluster.Main(m.Run)) }
//
//	func TestSomething(t *testing.T) {
//		c, err := cluster.Start(t.Context(), cluster.Config{…})
//
// What it promises is that nothing outlives the process: no process, no mount, no
// namespace, no file but the logs. What it leaves out is said in the packages below
// internal: kubelet, services, dns.
//
// Read cluster.go first.
package cluster
