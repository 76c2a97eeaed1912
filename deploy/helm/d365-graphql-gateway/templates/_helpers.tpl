{{- define "gateway.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gateway.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gateway.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "gateway.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "gateway.secret" -}}
{{- if .Values.secrets.existingSecret -}}
{{- .Values.secrets.existingSecret -}}
{{- else if .Values.secrets.external.enabled -}}
{{- include "gateway.name" . }}-secrets
{{- end -}}
{{- end -}}

{{- /* Names that the gateway answers to: a page of another one could point at it. */ -}}
{{- define "gateway.hosts" -}}
{{- $name := include "gateway.name" . -}}
{{- $service := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) -}}
{{- concat $service .Values.allowedHosts .Values.ingress.hosts | uniq | join "," -}}
{{- end -}}

{{- define "gateway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "gateway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "gateway.env" -}}
- {name: D365_CACHE_DIR, value: /var/cache/d365-graphql}
- {name: D365_DATA_DIR, value: /var/lib/d365-graphql}
- {name: D365_ADMIN__HOST, value: 0.0.0.0}
- {name: D365_ADMIN__PORT, value: "9090"}
- {name: D365_ALLOWED_HOSTS, value: {{ include "gateway.hosts" . | quote }}}
{{- if include "gateway.secret" . }}
- {name: D365_SECRETS_DIR, value: /run/secrets/d365-graphql}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "gateway.mounts" -}}
- {name: settings, mountPath: /etc/d365-graphql, readOnly: true}
- {name: cache, mountPath: /var/cache/d365-graphql}
- {name: data, mountPath: /var/lib/d365-graphql}
- {name: tmp, mountPath: /tmp}
{{- if include "gateway.secret" . }}
- {name: secrets, mountPath: /run/secrets/d365-graphql, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "gateway.volumes" -}}
- name: settings
  configMap: {name: {{ include "gateway.name" . }}}
{{- range $name := list "cache" "data" }}
{{- $volume := index $.Values.persistence $name }}
- name: {{ $name }}
  {{- if $volume.existingClaim }}
  persistentVolumeClaim: {claimName: {{ $volume.existingClaim }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ $volume.size }}}
  {{- end }}
{{- end }}
- name: tmp
  emptyDir: {sizeLimit: 512Mi}
{{- with include "gateway.secret" . }}
- name: secrets
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
