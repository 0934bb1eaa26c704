# What runs, where it answers, and what to type next. Sourced, never run.
# shellcheck shell=bash

PARTS=(haproxy prometheus)
for cluster in "${CLUSTERS[@]}"; do
  for part in node etcd apiserver controller-manager scheduler containerd kubelet kube-proxy targets; do
    PARTS+=("$cluster-$part")
  done
done
unset cluster part

lab_status() {
  if [[ ! -e $LAB_DIR ]]; then
    echo "The lab is down. Start it with: make lab-up"
    return 3
  elif [[ ! -e $LAB_DIR/env ]]; then
    echo "The lab was left half-way. Go on with make lab-up, or end it with make lab-down"
    return 3
  fi
  local healthy=0
  show_parts || healthy=1
  echo
  show_health || healthy=1
  echo
  show_addresses
  echo
  show_next
  return "$healthy"
}

show_parts() {
  local part state down=0
  for part in "${PARTS[@]}"; do
    if state=$(inside "$part"); then state="running, pid $state"; else state="STOPPED" down=1; fi
    printf '  %-26s %s\n' "$part" "$state"
  done
  return "$down"
}

# check WHAT COMMAND...
check() {
  local what=$1
  shift
  if "$@" >/dev/null 2>&1; then printf '  ok    %s\n' "$what"; else printf '  FAIL  %s\n' "$what" && return 1; fi
}

show_health() {
  local bad=0 cluster server
  for cluster in "${CLUSTERS[@]}"; do
    check "$cluster: API server ready" api_ready "$cluster" || bad=1
    check "$cluster: node ready" node_ready "$cluster" || bad=1
  done
  check "blue: every replica of checkout ready" source_ready || bad=1
  check "HAProxy: blue is up" blue_served || bad=1
  check "Prometheus: ready" prometheus_ready || bad=1
  for server in blue green; do
    printf '        HAProxy: %s is %s, weight %s\n' "$server" "$(server_status "$server" 2>/dev/null || echo unknown)" \
      "$(haproxy_ask "get weight checkout/$server" 2>/dev/null | head -n 1 || true)"
  done
  return "$bad"
}

show_addresses() {
  cat <<TEXT
  contexts     blue ($BLUE_VERSION), green ($GREEN_VERSION): Crossfade's own restricted account
               blue-admin, green-admin: everything; kubeconfig: $KUBECONFIG_FILE
  API servers  $(api blue), $(api green)
  users        $EDGE_URL
  HAProxy      socket $HAPROXY_SOCKET, metrics $EDGE_STATS_URL/metrics
  Prometheus   $PROMETHEUS_URL
  logs         $LAB_DIR/logs
TEXT
}

show_next() {
  cat <<TEXT
Next:
  . $LAB_DIR/env
  crossfade run -f $LAB/checkout.yaml
  ip netns exec xf-client $APP_DIR/load --url $EDGE_URL --rate 100 --duration 60s --keepalive
  $LAB/lab fault green 5xx 0.2
  make lab-down
TEXT
}
