{{- define "connect.name" -}}
{{- printf "%s-%s" .root.Release.Name .component | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "connect.all" -}}
app.kubernetes.io/name: rocketmq-connect
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{- define "connect.selector" -}}
{{ include "connect.all" . }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "connect.labels" -}}
{{ include "connect.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* The settings of every process, as its YAML file. Those of the values come last, so that they win. */}}
{{- define "connect.settings" -}}
{{- $tls := .Values.tls -}}
{{- if not .Values.etcd }}{{ fail "etcd is empty: give host:port of its members" }}{{ end -}}
{{- if not .Values.rocketmqNamesrv }}{{ fail "rocketmqNamesrv is empty: give host:port of the name servers" }}{{ end -}}
{{- if not .Values.insecure -}}
{{- range $name := list "mesh" "rest" }}
{{- if not (get $tls $name) }}{{ fail (printf "tls.%s is empty: name a Secret with a certificate, or accept connections in clear with insecure: true" $name) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $files := dict -}}
{{- if $tls.mesh }}{{ $_ := set $files "meshTls" (dict "caFile" "/tls/mesh/ca.crt" "certFile" "/tls/mesh/tls.crt" "keyFile" "/tls/mesh/tls.key" "serverName" $tls.serverName) }}{{ end -}}
{{- if $tls.etcd }}{{ $_ := set $files "etcdTls" (dict "caFile" "/tls/etcd/ca.crt" "certFile" "/tls/etcd/tls.crt" "keyFile" "/tls/etcd/tls.key") }}{{ end -}}
{{- if $tls.rest }}{{ $_ := set $files "restTls" (dict "certFile" "/tls/rest/tls.crt" "keyFile" "/tls/rest/tls.key") }}{{ end -}}
{{- $rocketmq := dict "namesrv" .Values.rocketmqNamesrv -}}
{{- if $tls.rocketmq }}{{ $_ := merge $rocketmq (dict "tls" true "tlsCaFile" "/tls/rocketmq/ca.crt") }}{{ end -}}
{{- $own := dict "cluster" .Values.cluster "etcd" .Values.etcd "insecure" .Values.insecure "rocketmq" $rocketmq -}}
{{- toYaml (mergeOverwrite $own $files (deepCopy .Values.settings)) -}}
{{- end -}}

{{- define "connect.secretVariables" -}}
{{- range . }}
- { name: {{ .name }}, valueFrom: { secretKeyRef: { name: {{ .secret }}, key: {{ .key }} } } }
{{- end }}
{{- end -}}

{{/* The Pod of a component, of root, component and values; runners have more env. Secrets have the mode 0440, which JSON has as 288. */}}
{{- define "connect.pod" -}}
{{- $values := .values -}}
{{- $root := .root -}}
{{- $kinds := dict "gateway" (list "mesh" "etcd" "rest") "task-runner" (list "mesh" "etcd" "rocketmq") -}}
{{- $tls := get $kinds .component | default (list "mesh" "etcd") -}}
metadata:
  labels:
    {{- include "connect.labels" . | nindent 4 }}
    {{- with $root.Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    checksum/settings: {{ include "connect.settings" $root | sha256sum }}
    {{- with $root.Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ $root.Release.Name }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- range $field := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
  {{- with get $root.Values $field }}
  {{ $field }}: {{ toJson . }}
  {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 1000
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  topologySpreadConstraints:
    {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "connect.selector" $ | nindent 10 }}
    {{- end }}
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds | default 30 }}
  containers:
    - name: {{ .component }}
      image: "{{ $root.Values.image.repository }}/{{ $values.image | default .component }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}"
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      workingDir: {{ $root.Values.image.workingDir }}
      args: [{{ .component }}]
      env:
        - { name: POD_IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
        - { name: RMQC_ID, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
        - { name: RMQC_ADVERTISE, value: $(POD_IP) }
        - { name: RMQC_BIND, value: {{ $root.Values.bind | quote }} }
        - { name: RMQC_METRICS_HOST, value: {{ $root.Values.bind | quote }} }
        - { name: RMQC_METRICS_PORT, value: "9464" }
        {{- include "connect.secretVariables" $root.Values.secrets | nindent 8 }}
        {{- with .env }}{{ toYaml . | nindent 8 }}{{ end }}
        {{- include "connect.secretVariables" $values.secrets | nindent 8 }}
        {{- with $root.Values.env }}{{ toYaml . | nindent 8 }}{{ end }}
      ports:
        - { name: grpc, containerPort: 9083 }
        - { name: metrics, containerPort: 9464 }
        {{- if eq .component "gateway" }}
        - { name: rest, containerPort: 8083 }
        {{- end }}
      {{- if eq .component "gateway" }}
      # Who still has its address from the Service may come until then.
      lifecycle: { preStop: { exec: { command: [sleep, '5'] } } }
      {{- end }}
      startupProbe:
        httpGet: { port: metrics, path: /health/ready }
        periodSeconds: 2
        failureThreshold: 60
        timeoutSeconds: 5
      readinessProbe:
        httpGet: { port: metrics, path: /health/ready }
        periodSeconds: 5
        timeoutSeconds: 5
      livenessProbe:
        httpGet: { port: metrics, path: /health/live }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: {{ $root.Values.readOnlyRootFilesystem }}
        capabilities: { drop: [ALL] }
      resources: {{- toYaml $values.resources | nindent 8 }}
      volumeMounts:
        - { name: settings, mountPath: {{ $root.Values.image.workingDir }}/rocketmq-connect.yaml, subPath: rocketmq-connect.yaml, readOnly: true }
        - { name: tmp, mountPath: /tmp }
        {{- range $kind := $tls }}
        {{- if get $root.Values.tls $kind }}
        - { name: tls-{{ $kind }}, mountPath: /tls/{{ $kind }}, readOnly: true }
        {{- end }}
        {{- end }}
        {{- range $values.secretFiles }}
        - { name: secret-{{ . }}, mountPath: /secrets/{{ . }}, readOnly: true }
        {{- end }}
        {{- with $values.volumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
  volumes:
    - { name: settings, configMap: { name: {{ $root.Release.Name }}-settings } }
    - { name: tmp, emptyDir: {} }
    {{- range $kind := $tls }}
    {{- with get $root.Values.tls $kind }}
    - { name: tls-{{ $kind }}, secret: { secretName: {{ . }}, defaultMode: 288 } }
    {{- end }}
    {{- end }}
    {{- range $values.secretFiles }}
    - { name: secret-{{ . }}, secret: { secretName: {{ . }}, defaultMode: 288 } }
    {{- end }}
    {{- with $values.volumes }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end -}}
