{{- define "llmrollout.name" -}}
{{- if contains "llmrollout" .Release.Name -}}
{{ printf "%s-operator" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-llmrollout-operator" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "llmrollout.selector" -}}
app.kubernetes.io/name: llmrollout-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "llmrollout.labels" -}}
{{ include "llmrollout.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "llmrollout.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "llmrollout.lease" -}}
{{ .Values.config.leaderElection.name | default (include "llmrollout.name" .) }}
{{- end -}}

{{- define "llmrollout.port" -}}
{{ regexFind "[0-9]+$" .Values.config.listen }}
{{- end -}}

{{/* The configuration: the values as they are, with a lease of this release's own. */}}
{{- define "llmrollout.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config.leaderElection "name" (include "llmrollout.lease" .) -}}
{{- if not $config.prices }}{{ $_ := unset $config "prices" }}{{ end -}}
{{- if not $config.gpuPrice }}{{ $_ := unset $config "gpuPrice" }}{{ end -}}
{{- if not $config.tracing }}{{ $_ := unset $config "tracing" }}{{ end -}}
{{ toYaml $config }}
{{- end -}}

{{/* Where it may look when `rbac.scope` is `namespace`: its own where nothing else is said. As YAML. */}}
{{- define "llmrollout.watched" -}}
{{ .Values.config.watchNamespaces | default (list .Release.Namespace) | toYaml }}
{{- end -}}

{{- define "llmrollout.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "llmrollout.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The configuration, the Secrets that it names files of, and whatever else was asked for. */}}
{{- define "llmrollout.volumes" -}}
- name: config
  configMap: {name: {{ include "llmrollout.name" . }}}
{{- range .Values.secrets }}
- name: secret-{{ . }}
  secret: {secretName: {{ . }}}
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "llmrollout.volumeMounts" -}}
- name: config
  mountPath: /etc/llmrollout
  readOnly: true
{{- range .Values.secrets }}
- name: secret-{{ . }}
  mountPath: /etc/secrets/{{ . }}
  readOnly: true
{{- end }}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What the operator may do where it watches. No secrets, no pod is touched, and no verb that it does not use. */}}
{{- define "llmrollout.rules" -}}
- apiGroups: [llmrollout.io]
  resources: [llmrollouts]
  # patch: only the finalizer
  verbs: [get, list, watch, patch]
- apiGroups: [llmrollout.io]
  resources: [llmrolloutorders]
  verbs: [list, watch]
- apiGroups: [llmrollout.io]
  resources: [llmgatesets]
  verbs: [get, list, watch]
- apiGroups: [llmrollout.io]
  resources: [llmrollouts/status]
  verbs: [patch]
# For the owner references of its Deployments and Services, where the API server enforces that (OpenShift does).
- apiGroups: [llmrollout.io]
  resources: [llmrollouts/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  # delete: only the old color's, with `decommission.mode: Delete`
  verbs: [get, list, watch, create, patch, delete]
# What scales the colors, where a rollout has `release.template.autoscaler`; delete: when a color goes, or the field does.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes, grpcroutes]
  verbs: [get, list, watch, patch]
# Who may refer to what of another namespace: only read where a rollout does.
- apiGroups: [gateway.networking.k8s.io]
  resources: [referencegrants]
  verbs: [list, watch]
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [get, list, watch, patch]
- apiGroups: [core.openfeature.dev]
  resources: [featureflags]
  verbs: [get, list, watch, patch]
- apiGroups: [serving.kserve.io]
  resources: [llminferenceservices]
  verbs: [get, list, watch, patch]
- apiGroups: [llm-d.ai]
  resources: [inferencemodelrewrites]
  verbs: [get, list, watch, patch]
{{- range .Values.rbac.scale }}
# For the old color of a pair that somebody else owns: how many pods it wants, and to zero where `decommission` asks for it.
- apiGroups: [{{ .group | quote }}]
  resources: [{{ range $i, $kind := .resources }}{{ if $i }}, {{ end }}{{ $kind }}/scale{{ end }}]
  verbs: [get, patch]
{{- end }}
# For gates on Jobs: made of the CronJobs that they name, once, and their pods' last words read.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# For price lists, of which only those with the label llmrollout.io/prices are asked for, and for the records of attempts,
# `<rollout>-attempt-<n>`: a rule cannot be limited to a label, nor to the beginning of a name.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
