{{- define "prunella.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Start of every object's name. Kept short: a stage's name and the hash of a pod follow. */}}
{{- define "prunella.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "prunella.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "prunella.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "prunella.selectorLabels" -}}
app.kubernetes.io/name: {{ include "prunella.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "prunella.labels" -}}
{{ include "prunella.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "prunella.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "prunella.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "prunella.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "prunella.claimName" -}}
{{ default (printf "%s-claims" (include "prunella.fullname" .)) .Values.claims.existingClaim }}
{{- end -}}

{{- define "prunella.topicPrefix" -}}
{{ dig "topics" "prefix" "prunella." .Values.config }}
{{- end -}}

{{/* prunella.yaml: the values' `config`, with what the chart decides laid over it. */}}
{{- define "prunella.config" -}}
{{- $decided := dict
  "kafka" (dict "brokers" .Values.kafka.brokers)
  "claims" (dict "directory" "/var/lib/prunella/claims")
  "gateway" (dict "listen" "0.0.0.0:8787" "token" (printf "file:/etc/prunella/gateway/%s" .Values.gateway.token.key))
  "telemetry" (dict "listen" "0.0.0.0:9464")
-}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $decided) -}}
{{- end -}}

{{- define "prunella.secretMounts" -}}
{{- range .Values.secrets }}
- name: {{ printf "secret-%s" . | trunc 63 | trimSuffix "-" }}
  mountPath: /etc/prunella/secrets/{{ . }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "prunella.secretVolumes" -}}
{{- range .Values.secrets }}
- name: {{ printf "secret-%s" . | trunc 63 | trimSuffix "-" }}
  secret:
    secretName: {{ . }}
{{- end }}
{{- end -}}

{{/* A stage's values over the defaults. Called with (dict "root" $ "stage" name). */}}
{{- define "prunella.stageValues" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (index .root.Values.stages .stage))) -}}
{{- end -}}
