# The whole lab: what is started in which order, and what has to be true before it counts as up.
# Sourced, never run.
# shellcheck shell=bash

lab_up() {
  installed
  mkdir -p "$LAB_DIR"
  network_up
  say "network: ${#NAMESPACES[@]} namespaces on one bridge"
  credentials_up
  start_haproxy
  start_prometheus
  say "edge and metrics: started"
  all_of cluster_up blue green
  workload_up
  start_targets blue
  start_targets green
  write_env
  if [[ -e $LAB_DIR/complete ]]; then
    say "checkout is as you left it; tests/lab/lab reset brings back the beginning"
    return
  fi
  until_true 120 "the pods of checkout on blue; try: tests/lab/lab status" source_ready
  say "blue: checkout is ready"
  until_true 60 "HAProxy to see blue; read $LAB_DIR/logs/haproxy.log" blue_served
  until_true 60 "Prometheus to scrape blue; read $LAB_DIR/logs/prometheus.log" pods_scraped blue "$(source_replicas)"
  say "HAProxy serves blue, Prometheus scrapes it"
  touch "$LAB_DIR/complete"
}

cluster_up() {
  local cluster=$1
  node_up "$cluster"
  start_containerd "$cluster"
  control_plane_up "$cluster"
  say "$cluster: API server ready"
  runtime_up "$cluster"
  say "$cluster: node ready"
}

# all_of FUNCTION ARGUMENT...: FUNCTION for every ARGUMENT at once; ends the others when one fails.
all_of() {
  local function=$1 argument job jobs=()
  shift
  for argument in "$@"; do
    "$function" "$argument" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do
    wait "$job" || {
      kill "${jobs[@]}" 2>/dev/null || true
      exit 1
    }
  done
}

installed() {
  local file
  [[ $(id -u) == 0 ]] || die "the lab makes network namespaces and containers, and needs root for it"
  for file in "${BIN[blue]}/kubelet" "${BIN[green]}/kubelet" "${BIN[green]}/kubectl" "$KUBECTL_CONVERT" "$APP_DIR/images.tar"; do
    [[ -e $file ]] || die "$file is missing; run: make lab-install"
  done
}

# Every address and path a test or a person needs, for `source`.
write_env() {
  cat >"$LAB_DIR/env.partial" <<ENV
export KUBECONFIG=$KUBECONFIG_FILE
export XF_LAB_DIR=$LAB_DIR
export XF_KUBECTL=${BIN[green]}/kubectl
export XF_KUBECTL_CONVERT=$KUBECTL_CONVERT
export XF_LOAD=$APP_DIR/load
export XF_HAPROXY_URL=$EDGE_URL
export XF_HAPROXY_METRICS_URL=$EDGE_STATS_URL/metrics
export XF_HAPROXY_SOCKET=$HAPROXY_SOCKET
export XF_PROMETHEUS_URL=$PROMETHEUS_URL
export XF_BLUE_API=$(api blue)
export XF_GREEN_API=$(api green)
export XF_BLUE_NODE=${ADDRESS[xf-blue]}
export XF_GREEN_NODE=${ADDRESS[xf-green]}
export XF_NODE_PORT=$NODE_PORT
export XF_CLIENT_NETNS=xf-client
ENV
  mv "$LAB_DIR/env.partial" "$LAB_DIR/env"
}
