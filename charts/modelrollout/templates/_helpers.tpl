{{- define "modelrollout.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "modelrollout.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "modelrollout.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "modelrollout.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "modelrollout.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "modelrollout.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.create is false: name the account to use in serviceAccount.name" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "modelrollout.selectorLabels" -}}
app.kubernetes.io/name: {{ include "modelrollout.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* managed-by says Helm here; the operator watches for managed-by=modelrollout and must not see itself. */ -}}
{{- define "modelrollout.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "modelrollout.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "modelrollout.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /* The name of the Lease, in the release's own namespace. */ -}}
{{- define "modelrollout.lease" -}}
{{- printf "%s-leader" (include "modelrollout.fullname" .) -}}
{{- end -}}

{{- /* Where the file of providers is mounted, and what it names. */ -}}
{{- define "modelrollout.providersPath" -}}
/etc/modelrollout
{{- end -}}

{{- /* providers.yaml as the operator reads it: what the values take from a Secret is a path here. */ -}}
{{- define "modelrollout.providers" -}}
providers:
{{- range $provider := .Values.prometheus.providers }}
{{- $at := printf "%s/%s" (include "modelrollout.providersPath" $) $provider.name }}
  - name: {{ $provider.name | quote }}
    url: {{ $provider.url | quote }}
    {{- if or $provider.caSecret $provider.caConfigMap }}
    caFile: {{ $at }}/ca.crt
    {{- end }}
    {{- if $provider.certificateSecret }}
    certFile: {{ $at }}/tls.crt
    keyFile: {{ $at }}/tls.key
    {{- end }}
    {{- if $provider.tokenSecret }}
    tokenFile: {{ $at }}/token
    {{- else if $provider.tokenFile }}
    tokenFile: {{ $provider.tokenFile | quote }}
    {{- end }}
    {{- with $provider.basicAuth }}
    basicAuth:
      username: {{ .username | quote }}
      passwordFile: {{ $at }}/password
    {{- end }}
    {{- with $provider.headers }}
    headers:
      {{- range $name, $value := . }}
      {{ $name | quote }}: {{ $value | quote }}
      {{- end }}
    {{- end }}
    {{- with $provider.headerSecrets }}
    headerFiles:
      {{- range $name, $_ := . }}
      {{ $name | quote }}: {{ $at }}/header-{{ $name }}
      {{- end }}
    {{- end }}
    {{- range $field := list "replicaLabel" "lag" "timeout" }}
    {{- with get $provider $field }}
    {{ $field }}: {{ . | quote }}
    {{- end }}
    {{- end }}
    {{- with $provider.concurrency }}
    concurrency: {{ . }}
    {{- end }}
{{- end }}
{{- end -}}

{{- /*
One projected volume: the file of providers, and in a folder for each what it takes from Secrets. Optional, so that a
Secret that is missing keeps one provider from answering and not the operator from starting; it is used once it is there.
*/ -}}
{{- define "modelrollout.providersVolume" -}}
- name: providers
  projected:
    defaultMode: 288  # 0440
    sources:
      - configMap:
          name: {{ include "modelrollout.fullname" . }}-providers
          items: [{key: providers.yaml, path: providers.yaml}]
      {{- range $provider := .Values.prometheus.providers }}
      {{- $at := $provider.name }}
      {{- with $provider.caSecret }}
      - secret: {name: {{ .name | quote }}, optional: true, items: [{key: {{ .key | quote }}, path: {{ $at }}/ca.crt}]}
      {{- end }}
      {{- with $provider.caConfigMap }}
      - configMap: {name: {{ .name | quote }}, optional: true, items: [{key: {{ .key | quote }}, path: {{ $at }}/ca.crt}]}
      {{- end }}
      {{- with $provider.certificateSecret }}
      - secret:
          name: {{ .name | quote }}
          optional: true
          items: [{key: tls.crt, path: {{ $at }}/tls.crt}, {key: tls.key, path: {{ $at }}/tls.key}]
      {{- end }}
      {{- with $provider.tokenSecret }}
      - secret: {name: {{ .name | quote }}, optional: true, items: [{key: {{ .key | quote }}, path: {{ $at }}/token}]}
      {{- end }}
      {{- with $provider.basicAuth }}
      {{- with .passwordSecret }}
      - secret: {name: {{ .name | quote }}, optional: true, items: [{key: {{ .key | quote }}, path: {{ $at }}/password}]}
      {{- end }}
      {{- end }}
      {{- range $name, $key := $provider.headerSecrets }}
      - secret:
          name: {{ $key.name | quote }}
          optional: true
          items: [{key: {{ $key.key | quote }}, path: {{ $at }}/header-{{ $name }}}]
      {{- end }}
      {{- end }}
{{- end -}}

{{- /*
What the operator may do where it serves models: the whole of it, for the ClusterRole and for each Role.
tests/chart/test_rbac.py compares it with what the code asks for. Server-side apply of a new object needs both patch
and create. No update, no wildcard, no Secret, nothing of a pod but its sight.
*/ -}}
{{- define "modelrollout.rules" -}}
- apiGroups: [modelrollout.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [modelrollout.dev]
  resources: [modeldeployments/status]
  verbs: [patch]
# Where OwnerReferencesPermissionEnforcement is on (OpenShift), owning with blockOwnerDeletion asks for this.
- apiGroups: [modelrollout.dev]
  resources: [modeldeployments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [controllerrevisions, deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, patch]
{{- end -}}
