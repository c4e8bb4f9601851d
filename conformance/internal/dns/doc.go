// Package dns answers for the names of Services and of pods that have one.
//
//	NAME.NAMESPACE.svc.cluster.local          the ClusterIP; of a headless Service, its endpoints
//	HOST.NAME.NAMESPACE.svc.cluster.local     the endpoint with that hostname
//	_PORT._tcp.NAME.NAMESPACE.svc.…           SRV: port numbers, with names of the first two kinds
//
// Everything else does not exist: nothing is asked of servers outside. Names of pods
// that are not ready are answered only where the Service publishes them. It promises
// that an answer is what the API server says at this moment: nothing is cached, and
// answers say that they must not be kept for long.
//
// See answer.go for what is said, server.go for how.
package dns
