#!/usr/bin/env bash
# Judges from elsewhere on everything that is shipped: `make lint-ship`. Each says yes, or what it may not say no to stands with
# its reason in a file beside this one. HELM and JUDGES (a directory for their Python) come from the Makefile.
set -uo pipefail
cd "$(dirname "$0")/../.."
: "${HELM:=helm}" "${JUDGES:=target/judges}"
out=target/ship
mkdir -p "$out"
passed=0 failed=0

if ! cmp -s tests/ship/requirements.txt "$JUDGES/requirements.txt"; then
  python3 -m venv "$JUDGES" && "$JUDGES/bin/pip" install -q -r tests/ship/requirements.txt &&
    cp tests/ship/requirements.txt "$JUDGES/requirements.txt" || exit 1
fi

judge() { # NAME COMMAND…
  local name=$1
  shift
  if "$@" > "$out/last.log" 2>&1; then
    passed=$((passed + 1))
    printf 'ok     %s\n' "$name"
  else
    failed=$((failed + 1))
    printf 'FAILED %s\n' "$name"
    sed 's/^/       /' "$out/last.log"
  fi
}

digest=sha256:$(printf '0%.0s' $(seq 64))
render() { "$HELM" template llmrollout charts/llmrollout -n llmrollout-system --set "image.digest=$digest,networkPolicy.enabled=true" "$@"; }
render --skip-tests > "$out/chart.yaml" && render -s templates/tests/providers.yaml > "$out/test-pod.yaml" &&
  render --skip-tests --set rbac.scope=namespace > "$out/namespaced.yaml" || exit 1

judge 'helm lint' "$HELM" lint --strict charts/llmrollout
judge 'values and their schema' "$JUDGES/bin/python" tests/ship/values.py
judge 'yamllint' "$JUDGES/bin/yamllint" --strict .
# `UpToDate` is a reason.
judge 'codespell' "$JUDGES/bin/codespell" -L uptodate ./*.md docs charts/llmrollout/templates charts/llmrollout/values.yaml examples config/samples .github --skip '*.svg'
for of in chart namespaced; do
  judge "checkov, $of" "$JUDGES/bin/checkov" -f "$out/$of.yaml" --config-file tests/ship/checkov.yaml --skip-download
done
judge 'checkov, helm test' "$JUDGES/bin/checkov" -f "$out/test-pod.yaml" --config-file tests/ship/checkov-test-pod.yaml --skip-download
for version in 1.33 1.34 1.35 1.36; do
  for of in chart namespaced test-pod; do
    judge "kubernetes $version, $of" "$JUDGES/bin/kubernetes-validate" --strict -k "$version" "$out/$of.yaml"
  done
done
judge 'API server and promtool' cargo run -q -p e2e -- check --only promtool,chart
judge 'links, YAML and commands of the pages' cargo test -q --test it --locked -- pages fields planned
printf '%s judges say yes, %s no\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
