{{- define "rutter.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* Labels of an object of a role: list $ "role". */ -}}
{{- define "rutter.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{ include "rutter.selector" . }}
{{- end }}

{{- define "rutter.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: rutter
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "rutter.meta" -}}
{{- $root := index . 0 -}}
name: {{ $root.Release.Name }}-{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels: {{- include "rutter.labels" . | nindent 2 }}
{{- end }}

{{- /* The name of a cluster-wide object is unique in the cluster. */ -}}
{{- define "rutter.clusterMeta" -}}
{{- $root := index . 0 -}}
name: {{ $root.Release.Namespace }}-{{ $root.Release.Name }}-{{ index . 1 }}
labels: {{- include "rutter.labels" . | nindent 2 }}
{{- end }}

{{- define "rutter.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata: {{- include "rutter.meta" . | nindent 2 }}
automountServiceAccountToken: false
{{- end }}

{{- /* Binds a role to its account: list $ "role" "Role" or "ClusterRole". */ -}}
{{- define "rutter.binding" -}}
{{- $root := index . 0 -}}
{{- $kind := index . 2 -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata: {{- include (eq $kind "Role" | ternary "rutter.meta" "rutter.clusterMeta") . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ eq $kind "Role" | ternary "" (printf "%s-" $root.Release.Namespace) }}{{ $root.Release.Name }}-{{ index . 1 }}
subjects:
- kind: ServiceAccount
  name: {{ $root.Release.Name }}-{{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
{{- end }}

{{- define "rutter.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "rutter.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "rutter.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Flags that all services have. */ -}}
{{- define "rutter.args" -}}
- --cluster={{ .Values.clusterName }}
- --name=$(POD_NAME)
- --log-level={{ .Values.log.level }}
- --log-format={{ .Values.log.format }}
{{- if .Values.nats.url }}
- --nats-url={{ .Values.nats.url }}
{{- with .Values.nats.credentialsSecret }}
- --nats-credentials-file=/etc/rutter/nats-credentials/nats.creds
{{- end }}
{{- with .Values.nats.tlsSecret }}
- --nats-ca-file=/etc/rutter/nats-tls/ca.crt
- --nats-certificate-file=/etc/rutter/nats-tls/tls.crt
- --nats-key-file=/etc/rutter/nats-tls/tls.key
{{- end }}
{{- else }}
- --nats-url=nats://$(NATS_TOKEN)@{{ .Release.Name }}-nats.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:4222
{{- end }}
- --nats-replicas={{ .Values.nats.replicas }}
{{- end }}

{{- define "rutter.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- if not .Values.nats.url }}
{{ include "rutter.natsToken" . }}
{{- end }}
{{- end }}

{{- define "rutter.natsToken" -}}
- name: NATS_TOKEN
  valueFrom: {secretKeyRef: {name: rutter-nats, key: token}}
{{- end }}

{{- define "rutter.mounts" -}}
{{- with .Values.nats.credentialsSecret }}
- {name: nats-credentials, mountPath: /etc/rutter/nats-credentials, readOnly: true}
{{- end }}
{{- with .Values.nats.tlsSecret }}
- {name: nats-tls, mountPath: /etc/rutter/nats-tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "rutter.volumes" -}}
{{- with .Values.nats.credentialsSecret }}
- {name: nats-credentials, secret: {secretName: {{ . }}}}
{{- end }}
{{- with .Values.nats.tlsSecret }}
- {name: nats-tls, secret: {secretName: {{ . }}}}
{{- end }}
{{- end }}

{{- define "rutter.probes" -}}
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{- /*
A pod of one service. dict: root, role, command, resources, api (whether it uses the
Kubernetes API); args, ports, mounts and volumes are lists as YAML, may be empty.
*/ -}}
{{- define "rutter.pod" -}}
{{- $root := .root -}}
metadata:
  labels: {{- include "rutter.labels" (list $root .role) | nindent 4 }}
  annotations: {prometheus.io/scrape: "true", prometheus.io/port: "8080", prometheus.io/path: /metrics}
spec:
  serviceAccountName: {{ $root.Release.Name }}-{{ .role }}
  automountServiceAccountToken: {{ .api }}
  enableServiceLinks: false
  securityContext: {{- include "rutter.podSecurity" $root | nindent 4 }}
  {{- with include "rutter.placement" $root | trim }}{{ . | nindent 2 }}{{ end }}
  containers:
  - name: {{ .role }}
    image: {{ include "rutter.image" $root }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    command: [rutter]
    args:
    - {{ .role }}
    {{- include "rutter.args" $root | nindent 4 }}
    {{- with .args }}{{ . | trim | nindent 4 }}{{ end }}
    env: {{- include "rutter.env" $root | nindent 4 }}
    ports:
    - {name: http, containerPort: 8080}
    {{- with .ports }}{{ . | trim | nindent 4 }}{{ end }}
    {{- include "rutter.probes" $root | nindent 4 }}
    {{- with .resources }}
    resources: {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext: {{- include "rutter.containerSecurity" $root | nindent 6 }}
    {{- with printf "%s\n%s" (.mounts | default "" | trim) (include "rutter.mounts" $root | trim) | trim }}
    volumeMounts: {{- . | nindent 4 }}
    {{- end }}
  {{- with printf "%s\n%s" (.volumes | default "" | trim) (include "rutter.volumes" $root | trim) | trim }}
  volumes: {{- . | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* A Deployment of one service: the dict of rutter.pod, with replicas. */ -}}
{{- define "rutter.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata: {{- include "rutter.meta" (list .root .role) | nindent 2 }}
spec:
  replicas: {{ .replicas }}
  selector:
    matchLabels: {{- include "rutter.selector" (list .root .role) | nindent 6 }}
  template: {{- include "rutter.pod" . | nindent 4 }}
{{- end }}

{{- define "rutter.xdsHost" -}}
{{ .Release.Name }}-xds.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}
