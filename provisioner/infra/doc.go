// Package infra says which Kubernetes objects the Envoys of a Gateway need. It is
// pure.
//
//	routing.Infrastructure (of a published version) + Config ──Objects──► ServiceAccount, ConfigMap, Service, PodDisruptionBudget, Deployment
//
// It promises that the same input gives the same bytes, so that an upgrade replaces
// no pod without a reason; that all objects carry the name of the Gateway (GEP-1762)
// and belong to it; and that the pods keep to the restricted pod security standard.
// It sets no more than it has to: what it does not set is free for others, such as
// the number of replicas for an autoscaler. It refuses to know about routing.
//
// Read objects.go first.
package infra
