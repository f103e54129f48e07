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
{{ toYaml $config }}
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
