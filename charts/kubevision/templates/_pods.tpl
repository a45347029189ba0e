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

{{- /* Where recordings of terminals are kept, or nothing. */ -}}
{{- define "kubevision.recordingArgs" -}}
{{- if and .bucket .claim }}
{{- fail "apiserver.recordings has a bucket and a claim: set one of them" }}
{{- end }}
{{- if and .bucket (not .endpoint) }}
{{- fail "apiserver.recordings.bucket needs apiserver.recordings.endpoint" }}
{{- end }}
{{- with .claim }}
- --record-terminals=/var/lib/kubevision/recordings
{{- end }}
{{- if .bucket }}
- {{ printf "--record-terminals=%s" .bucket | quote }}
- {{ printf "--record-terminals-s3-endpoint=%s" .endpoint | quote }}
{{- with .region }}
- {{ printf "--record-terminals-s3-region=%s" . | quote }}
{{- end }}
{{- if .credentialsSecret }}
- --record-terminals-s3-credentials-dir=/var/run/kubevision/recordings-credentials
{{- end }}
{{- if .caSecret }}
- --record-terminals-s3-ca-file=/var/run/kubevision/recordings-ca/ca.crt
{{- end }}
{{- end }}
{{- if .keysSecret }}
- --record-terminals-key-file=/var/run/kubevision/recordings-keys/keys
{{- end }}
{{- end }}

{{- define "kubevision.recordingMounts" -}}
{{- $secrets := dict "credentials" .credentialsSecret "ca" .caSecret "keys" .keysSecret }}
{{- range $name, $secret := $secrets }}
{{- if $secret }}
- name: recordings-{{ $name }}
  mountPath: /var/run/kubevision/recordings-{{ $name }}
  readOnly: true
{{- end }}
{{- end }}
{{- if .claim }}
- name: recordings
  mountPath: /var/lib/kubevision/recordings
{{- end }}
{{- end }}

{{- define "kubevision.recordingVolumes" -}}
{{- $secrets := dict "credentials" .credentialsSecret "ca" .caSecret "keys" .keysSecret }}
{{- range $name, $secret := $secrets }}
{{- with $secret }}
- name: recordings-{{ $name }}
  secret:
    secretName: {{ . }}
{{- end }}
{{- end }}
{{- with .claim }}
- name: recordings
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- end }}
