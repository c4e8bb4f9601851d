// Package v1alpha1 is Rutter's own API, rutter.dev/v1alpha1: the kind RutterClass,
// which holds the parameters of a GatewayClass (GatewayClassSpec.parametersRef), and the
// kind RoutingPin, which puts a past version of the routing of a Gateway in force.
//
// It holds types and nothing else. The schema by which API servers, and package
// manifests, validate objects is deploy/helm/rutter/crds; a test holds that it has
// exactly the fields of these types. What a schema cannot say, package route does.
package v1alpha1
