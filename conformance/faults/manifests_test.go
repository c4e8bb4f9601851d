package faults

import (
	"fmt"
	"strings"
)

const controller = "rutter.dev/gateway-controller"

const backend = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
      - name: echo
        image: echo-basic
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        readinessProbe: {tcpSocket: {port: 3000}, periodSeconds: 1}
`

// serviceOf is a Service of the one backend.
func serviceOf(name string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %s}
spec:
  selector: {app: echo}
  ports: [{port: 80, targetPort: 3000}]
`, name)
}

func gatewayOf(name string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %s}
spec:
  gatewayClassName: rutter
  listeners: [{name: http, port: 80, protocol: HTTP}]
`, name)
}

// routeOf is a route of the Gateway "gw" for the host of its own name, to Services in
// equal shares.
func routeOf(name string, services ...string) string {
	refs := make([]string, len(services))
	for i, service := range services {
		refs[i] = fmt.Sprintf("{name: %s, port: 80}", service)
	}
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s}
spec:
  parentRefs: [{name: gw}]
  hostnames: [%s.example.com]
  rules: [{backendRefs: [%s]}]
`, name, name, strings.Join(refs, ", "))
}
