// Package controlplane runs a Kubernetes control plane as three processes: etcd,
// kube-apiserver and kube-controller-manager.
//
//	Start(Config) ──► certificates ──► etcd ──► kube-apiserver ──► kube-controller-manager
//
// It runs inside of the namespaces of the cluster, where all ports are free, so that
// they are the usual ones. What a test can do to it, it does to one of the processes:
// stop it, kill it, start it again. etcd keeps what it has.
//
// There is no scheduler, since there is one node, and no node lifecycle controller.
//
// See controlplane.go for the order, arguments.go for how the processes are called.
package controlplane
