#!/usr/bin/env bash
# targets.sh CLUSTER FILE KUBECTL...: keeps FILE the list of the cluster's pods that Prometheus is to scrape:
# those that run and carry the usual annotation. It watches, and writes the whole list anew at every change.
set -euo pipefail

cluster=$1 file=$2
shift 2

write_list() {
  "$@" get pods --all-namespaces --output json | jq --arg cluster "$cluster" '[
    .items[]
    | select(.metadata.annotations["prometheus.io/scrape"] == "true" and .status.phase == "Running")
    | . as $pod | .spec.containers[].ports[]? | select(.name == "http")
    | {
        targets: ["\($pod.status.podIP):\(.containerPort)"],
        labels: {
          cluster: $cluster, namespace: $pod.metadata.namespace,
          pod: $pod.metadata.name, app: $pod.metadata.labels.app
        }
      }
  ]' >"$file.partial" && mv "$file.partial" "$file"
}

# `kubectl --watch` first tells of every pod there is, so no change is lost between the list and the watch.
# It ends when the API server does; then the last list stands until there is one again.
while :; do
  "$@" get pods --all-namespaces --watch --output name | while read -r _; do
    # Events come in bursts, and one list answers them all.
    while read -rt 0.1 _; do :; done
    # A list that could not be written now is written later: there may be no other event.
    until write_list "$@"; do read -rt 1 <> <(:) || true; done
  done || true
  read -rt 1 <> <(:) || true
done
