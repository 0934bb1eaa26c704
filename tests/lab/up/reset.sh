# Back to the state right after `up`, between two tests. Sourced, never run.
# shellcheck shell=bash

lab_reset() {
  [[ -e $LAB_DIR/env ]] || die "the lab is not up; run: make lab-up"
  rm -f "$LAB_DIR/complete"
  mend_all_links
  # A test that failed while it had stopped one would fail every test after it.
  all_of control_plane_up blue green
  edge_reset
  clear_target
  # What a test left behind in Prometheus would be evidence in the next one.
  stop prometheus 2
  rm -rf "$LAB_DIR/prometheus"
  apply_workload
  logged "$LAB_DIR/logs/leaving-pods.log" end_leaving_pods blue
  lab_up
  fault blue off >/dev/null
  until_true 60 "green to be empty" target_clear
  until_true 30 "HAProxy to see that green is gone" green_unserved
  edge_reset
  say "reset: blue serves everything, green is empty"
}

# Weights, states and counters as they were when HAProxy started.
edge_reset() {
  running haproxy || return 0
  local server
  for server in checkout/blue checkout/green other/legacy; do
    haproxy_ask "set server $server state ready" >/dev/null
    haproxy_ask "enable health $server" >/dev/null
  done
  haproxy_ask 'set server checkout/blue weight 100' >/dev/null
  haproxy_ask 'set server checkout/green weight 0' >/dev/null
  haproxy_ask 'set server other/legacy weight 77' >/dev/null
  haproxy_ask 'clear counters all' >/dev/null
}
