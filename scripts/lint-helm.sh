#!/usr/bin/env bash
# The Helm chart: helm's own lint, both sets of values rendered, and the result against the schemas of Kubernetes.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lint-tools.sh
. scripts/lint-tools.sh

version=v3.22.0
chart=helm/prunella
rendered=target/lint/helm
# The oldest that Chart.yaml allows, and the newest that the checker knows.
kubernetes_versions=(1.27 1.37)

if ! use_go_tool helm helm.sh/helm/v3 "$version" helm.sh/helm/v3/cmd/helm; then
  skip "$chart: no Go to build helm with"
  exit 0
fi
helm=$tools/helm-$version
rm -rf "$rendered"
mkdir -p "$rendered"

for values in "$chart/values.yaml" "$chart/ci/full-values.yaml"; do
  "$helm" lint --strict --quiet --values "$values" "$chart"
  for kubernetes in "${kubernetes_versions[@]}"; do
    "$helm" template lint "$chart" --kube-version "$kubernetes" --values "$values" \
      >"$rendered/$(basename "$values" .yaml)-$kubernetes.yaml"
  done
done

# values.schema.json has to refuse what cannot work.
for wrong in kafka.brokers= kafka.brokers=kafka kafka.broker=kafka:9092 stages.teapot.enabled=true claims.size=lots; do
  if "$helm" template lint "$chart" --kube-version 1.27 --set "$wrong" >/dev/null 2>&1; then
    echo "$chart: --set $wrong is accepted" >&2
    exit 1
  fi
done

if use_python_tools; then
  for kubernetes in "${kubernetes_versions[@]}"; do
    for file in "$rendered"/*-"$kubernetes".yaml; do
      python scripts/lint-helm.py "$file" "$rendered"
      # It has no schemas of KEDA and of the Prometheus operator, and warns about them.
      kubernetes-validate --strict --quiet --no-warn -k "$kubernetes" "$file"
    done
  done
else
  skip "rendered manifests against the schemas of Kubernetes: no Python 3 with venv to run the checker"
fi
say "$chart ok"
