# The edge: HAProxy in front of both clusters' NodePorts. Sourced, never run.
# shellcheck shell=bash

start_haproxy() {
  haproxy_config >"$LAB_DIR/haproxy.cfg"
  start haproxy nsenter --net=/run/netns/xf-edge -- haproxy -db -f "$LAB_DIR/haproxy.cfg"
}

# A production edge in small. It tries again, on another server where there is one, only what cannot have
# been worked on: no connection, or for a GET a connection that ended without an answer. Green starts at
# weight 0 and is down until something answers on its NodePort. `other` belongs to somebody else.
haproxy_config() {
  cat <<CONFIG
global
    stats socket $HAPROXY_SOCKET mode 600 level admin
    stats timeout 1m
    nbthread 1
    maxconn 8000

defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 4s
    timeout queue 1s
    timeout http-request 5s
    timeout http-keep-alive 60s
    timeout check 1s
    retries 3
    retry-on conn-failure empty-response
    option redispatch 1
    option httpchk GET /readyz
    http-check expect status 200
    default-server check inter 500ms fall 2 rise 1

frontend web
    bind ${ADDRESS[xf-edge]}:8080
    http-request disable-l7-retry unless METH_GET
    use_backend other if { path_beg /other }
    default_backend checkout

backend checkout
    balance roundrobin
    server blue ${ADDRESS[xf-blue]}:$NODE_PORT weight 100
    server green ${ADDRESS[xf-green]}:$NODE_PORT weight 0

backend other
    balance roundrobin
    server legacy ${ADDRESS[xf-blue]}:$NODE_PORT weight 77

frontend metrics
    bind ${ADDRESS[xf-edge]}:8404
    http-request use-service prometheus-exporter if { path /metrics }
CONFIG
}

# haproxy_ask COMMANDS: over the admin socket, as an operator would.
haproxy_ask() { printf '%s\n' "$1" | socat -t 2 "UNIX-CONNECT:$HAPROXY_SOCKET" -; }

# server_status SERVER: UP, DOWN, …
server_status() { haproxy_ask 'show stat -1 4 -1' | awk -F, -v server="$1" '$1 == "checkout" && $2 == server {print $18}'; }

blue_served() { [[ $(server_status blue) == UP* ]]; }

green_unserved() { [[ $(server_status green) == DOWN* ]]; }
