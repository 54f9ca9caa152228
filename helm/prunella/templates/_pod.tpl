{{- /* Not empty when a stage is exactly-once: the orchestrator unless it is told otherwise, the others when they are told
       so. Such a stage is a StatefulSet, whose pods keep their numbers. */}}
{{- define "prunella.isExactlyOnce" -}}
{{- $default := ternary "exactly-once" "at-least-once" (eq .stage "orchestrator") }}
{{- $config := .root.Values.config | default dict }}
{{- if eq (dig "processing" "guarantee" .stage $default $config) "exactly-once" }}yes{{ end }}
{{- end }}

{{/* The pod of a stage. Called with (dict "root" $ "stage" name "values" its values). */}}
{{- define "prunella.pod" -}}
{{- $root := .root -}}
{{- $isGateway := eq .stage "gateway" -}}
metadata:
  labels:
    {{- include "prunella.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .stage }}
    {{- with .values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # The configuration is read at the start: a change of it is a new rollout.
    checksum/config: {{ include "prunella.config" $root | sha256sum }}
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "prunella.serviceAccountName" $root }}
  # No service talks to Kubernetes.
  automountServiceAccountToken: false
  enableServiceLinks: false
  # A stage needs up to 10 s to finish what it has taken, commit and leave its group.
  terminationGracePeriodSeconds: 30
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  containers:
    - name: {{ .stage }}
      image: {{ include "prunella.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [serve, {{ .stage }}]
      env:
        - name: PRUNELLA_CONFIG
          value: /etc/prunella/prunella.yaml
        {{- if include "prunella.isExactlyOnce" (dict "root" .root "stage" .stage) }}
        # The number of the pod, the same after every restart, names its transactions.
        - name: PRUNELLA__PROCESSING__TRANSACTIONS__SLOT
          valueFrom: { fieldRef: { fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']" } }
        {{- end }}
        {{- with .values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: metrics
          containerPort: 9464
        {{- if $isGateway }}
        - name: http
          containerPort: 8787
        {{- end }}
      livenessProbe:
        httpGet:
          path: /healthz
          port: metrics
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet:
          path: /readyz
          {{- /* The gateway's own port also tells whether its view of runs has been read. */}}
          port: {{ ternary "http" "metrics" $isGateway }}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 3
      {{- if $isGateway }}
      lifecycle:
        preStop:
          exec:
            # Requests come in until every node has heard that this pod is leaving.
            command: [sleep, "5"]
      {{- end }}
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/prunella/prunella.yaml
          subPath: prunella.yaml
          readOnly: true
        - name: claims
          mountPath: /var/lib/prunella/claims
        - name: data
          mountPath: /var/lib/prunella/data
        {{- if $isGateway }}
        - name: gateway-token
          mountPath: /etc/prunella/gateway
          readOnly: true
        {{- end }}
        {{- with include "prunella.secretMounts" $root | trim }}
        {{- . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "prunella.fullname" $root }}
    - name: claims
      persistentVolumeClaim:
        claimName: {{ include "prunella.claimName" $root }}
    # Nothing here is missed when it is lost: the view of runs is made anew from Kafka.
    - name: data
      emptyDir:
        sizeLimit: {{ .values.dataSize }}
    {{- if $isGateway }}
    - name: gateway-token
      secret:
        secretName: {{ $root.Values.gateway.token.secret }}
    {{- end }}
    {{- with include "prunella.secretVolumes" $root | trim }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- with .values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .values.topologySpreadConstraints | nindent 4 }}
  {{- else }}
  # One node's death takes few of a stage's pods with it.
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "prunella.selectorLabels" $root | nindent 10 }}
          app.kubernetes.io/component: {{ .stage }}
  {{- end }}
{{- end -}}
