{{- define "kubevision.namespace" -}}
{{- if and (ne .Release.Namespace "kubevision-system") (not .Values.namespace.create) }}
{{- fail "KubeVision's namespace is kubevision-system: install with --namespace kubevision-system --create-namespace" }}
{{- end -}}
kubevision-system
{{- end }}

{{- define "kubevision.reference" -}}
{{- $tag := .image.tag | default .default -}}
{{- if .image.digest -}}
{{ printf "%s@%s" .image.repository .image.digest }}
{{- else -}}
{{ printf "%s:%s" .image.repository $tag }}
{{- end -}}
{{- end }}

{{- /* The fields that place a Pod; each is left out if it is empty. */ -}}
{{- define "kubevision.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "kubevision.podMetadata" -}}
labels:
  {{- with .program.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  app.kubernetes.io/name: {{ .name }}
{{- with .program.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "kubevision.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "kubevision.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
