# Where everything of the lab lives: folders, namespaces and addresses. Sourced, never run.
# shellcheck shell=bash disable=SC2034

LAB_CACHE=${CROSSFADE_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/crossfade-lab}
LAB_DIR=${CROSSFADE_LAB_DIR:-/run/crossfade-lab}

# Programs of people who already have them can be used instead of built ones.
BLUE_BIN=${CROSSFADE_LAB_BLUE_BIN:-$LAB_CACHE/kubernetes-$BLUE_VERSION/bin}
GREEN_BIN=${CROSSFADE_LAB_GREEN_BIN:-$LAB_CACHE/kubernetes-$GREEN_VERSION/bin}
KUBECTL_CONVERT=$LAB_CACHE/kubectl-convert-$GREEN_VERSION/bin/kubectl-convert
ENVOY=$LAB_CACHE/envoy-$ENVOY_VERSION/envoy/_bin/envoy
APP_DIR=$LAB_CACHE/app

# One bridge joins every namespace. The ranges are ones that are rarely anybody's.
NODE_RANGE=10.213.0.0/24
HOST_ADDRESS=10.213.0.1
NAMESPACES=(xf-vpc xf-blue xf-green xf-edge xf-metrics xf-client)
declare -A ADDRESS=(
  [xf-blue]=10.213.0.11 [xf-green]=10.213.0.12
  [xf-edge]=10.213.0.21 [xf-metrics]=10.213.0.22 [xf-client]=10.213.0.23
)

# What differs between the two clusters.
CLUSTERS=(blue green)
declare -A BIN=([blue]=$BLUE_BIN [green]=$GREEN_BIN)
declare -A POD_RANGE=([blue]=10.214.0.0/16 [green]=10.215.0.0/16)
declare -A SERVICE_RANGE=([blue]=10.216.0.0/16 [green]=10.217.0.0/16)
declare -A FIRST_SERVICE=([blue]=10.216.0.1 [green]=10.217.0.1)

NODE_PORT=30080
EDGE_URL=http://${ADDRESS[xf-edge]}:8080/
EDGE_STATS_URL=http://${ADDRESS[xf-edge]}:8404
PROMETHEUS_URL=http://${ADDRESS[xf-metrics]}:9090
KUBECONFIG_FILE=$LAB_DIR/kubeconfig
HAPROXY_SOCKET=$LAB_DIR/haproxy.sock

api() { printf 'https://%s:6443' "${ADDRESS[xf-$1]}"; }
