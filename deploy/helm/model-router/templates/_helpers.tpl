{{- define "model-router.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "model-router.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "model-router.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "model-router.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "model-router.selectorLabels" -}}
app.kubernetes.io/name: {{ include "model-router.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "model-router.labels" -}}
{{ include "model-router.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "model-router.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "model-router.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "model-router.configMapName" -}}
{{- default (include "model-router.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{- define "model-router.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "model-router.logVolume" -}}
{{- and .Values.requestLog.enabled (eq .Values.requestLog.destination "volume") -}}
{{- end -}}

{{- /* How the kubelet asks for a path: it has no certificate to show where callers must show one. */ -}}
{{- define "model-router.probe" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.tls.clientCa -}}
tcpSocket:
  port: http
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: http
  {{- if $root.Values.tls.existingSecret }}
  scheme: HTTPS
  {{- end }}
{{- end -}}
{{- end -}}

{{- /* What must hold before anything is installed. */ -}}
{{- define "model-router.checked" -}}
{{- if not .Values.existingConfigMap -}}
{{- $keyed := or .Values.keys (regexMatch "(?m)^\\s*\\[keys\\." .Values.config) -}}
{{- if not (or $keyed .Values.allowAnonymous (regexMatch "(?m)^\\s*allow_anonymous\\s*=\\s*true" .Values.config)) -}}
{{- fail "callers need keys: make one with `router-server key new`, put its hash into `keys`, or set allowAnonymous=true" -}}
{{- end -}}
{{- $several := or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled -}}
{{- $bounded := or (contains "budget_usd" .Values.config) (contains "budget_usd" (toJson .Values.keys)) -}}
{{- $shared := or .Values.redis.url (regexMatch "(?m)^\\s*\\[replicas\\]" .Values.config) -}}
{{- if and $several $bounded (not $shared) -}}
{{- fail "several pods with budgets need redis.url: without it each pod allows the whole budget" -}}
{{- end -}}
{{- end -}}
{{- end -}}
