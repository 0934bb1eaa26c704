# Prometheus, scraping the pods of both clusters and the edge. Sourced, never run.
# shellcheck shell=bash

start_prometheus() {
  # Prometheus watches the folder for new lists, so it has to be there first.
  mkdir -p "$LAB_DIR/targets"
  prometheus_config >"$LAB_DIR/prometheus.yml"
  start prometheus nsenter --net=/run/netns/xf-metrics -- prometheus \
    --config.file "$LAB_DIR/prometheus.yml" --storage.tsdb.path "$LAB_DIR/prometheus" \
    --storage.tsdb.retention.time 1d --web.listen-address "${ADDRESS[xf-metrics]}:9090" --log.level warn
}

prometheus_config() {
  local cluster
  cat <<YAML
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
scrape_configs:
  - job_name: edge
    static_configs: [{targets: ["${EDGE_STATS_URL#http://}"]}]
YAML
  for cluster in "${CLUSTERS[@]}"; do
    pod_scrapes "$cluster"
  done
}

# The files are kept by `targets.sh`: Debian's Prometheus is built without the discovery of Kubernetes.
pod_scrapes() {
  cat <<YAML
  - job_name: pods-$1
    file_sd_configs: [{files: [$LAB_DIR/targets/$1.json], refresh_interval: 5s}]
YAML
}

start_targets() {
  start "$1-targets" nsenter --net=/run/netns/xf-metrics -- "$LAB/up/targets.sh" "$1" "$LAB_DIR/targets/$1.json" \
    "${BIN[green]}/kubectl" --kubeconfig "$CREDENTIALS/$1-prometheus.kubeconfig" --cache-dir "$LAB_DIR/kubectl-cache"
}

# query PROMQL: the value of the first series, or nothing.
query() {
  curl --noproxy "*" -sf --max-time 2 --get "$PROMETHEUS_URL/api/v1/query" --data-urlencode "query=$1" |
    jq -r '.data.result[0].value[1] // empty'
}

prometheus_ready() { curl --noproxy "*" -sf --max-time 2 "$PROMETHEUS_URL/-/ready"; }

pods_scraped() { [[ $(query "count(up{cluster=\"$1\"} == 1)") == "$2" ]]; }
