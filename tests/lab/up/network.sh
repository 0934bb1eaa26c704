# The shared virtual network: a bridge in a namespace of its own, one namespace per machine, routes
# between the pod ranges, and no way out. Sourced, never run.
# shellcheck shell=bash

network_up() {
  local namespace
  for namespace in "${NAMESPACES[@]}"; do
    [[ -e /run/netns/$namespace ]] || ip netns add "$namespace"
    ip -n "$namespace" link set lo up
  done
  ip -n xf-vpc link show bridge >/dev/null 2>&1 || ip -n xf-vpc link add bridge type bridge
  ip -n xf-vpc link set bridge up
  for namespace in "${!ADDRESS[@]}"; do
    ip -n "$namespace" link show vpc >/dev/null 2>&1 || plug "$namespace" "${namespace#xf-}"
    ip -n "$namespace" addr replace "${ADDRESS[$namespace]}/24" dev vpc
    ip -n "$namespace" link set vpc up
    pod_routes "$namespace"
  done
  for namespace in xf-blue xf-green; do
    node_network "${namespace#xf-}"
  done
  host_network
}

# plug NAMESPACE PORT: a cable from the namespace's `vpc` to the bridge's port.
plug() {
  ip -n xf-vpc link del "$2" 2>/dev/null || true
  ip -n xf-vpc link add "$2" type veth peer name vpc netns "$1"
  ip -n xf-vpc link set "$2" master bridge up
}

pod_routes() {
  local cluster
  for cluster in "${CLUSTERS[@]}"; do
    [[ $1 == "xf-$cluster" ]] || ip -n "$1" route replace "${POD_RANGE[$cluster]}" via "${ADDRESS[xf-$cluster]}"
  done
}

# A node forwards between its pods and the VPC. Its service range needs some route, or the node's own
# packets to a ClusterIP are refused before kube-proxy's rules see them.
node_network() {
  nsenter --net="/run/netns/xf-$1" sysctl -qw net.ipv4.ip_forward=1
  ip -n "xf-$1" route replace "${SERVICE_RANGE[$1]}" dev vpc
}

# The machine itself gets one on-link address, to reach the API servers, the edge and Prometheus. It
# forwards nothing for the lab, and the lab has no route through it.
host_network() {
  if ! ip link show xf-host >/dev/null 2>&1; then
    ip -n xf-vpc link del host 2>/dev/null || true
    ip -n xf-vpc link add host type veth peer name xf-host netns "$$"
    ip -n xf-vpc link set host master bridge up
  fi
  ip addr replace "$HOST_ADDRESS/24" dev xf-host
  ip link set xf-host up
}

# cut_link HERE THERE: nothing passes between two namespaces in either direction, as if the cable were gone;
# nobody is told, so whoever sends waits.
cut_link() {
  local there=${ADDRESS[$2]} pods=${POD_RANGE[${2#xf-}]:-}
  in_namespace "$1" nft -f - <<NFT
table inet cut-$2
delete table inet cut-$2
table inet cut-$2 {
  chain in { type filter hook prerouting priority -300; ip saddr { $there${pods:+, $pods} } drop; }
  chain out { type filter hook postrouting priority -300; ip daddr { $there${pods:+, $pods} } drop; }
}
NFT
}

mend_link() { in_namespace "$1" nft delete table inet "cut-$2"; }

mend_all_links() {
  local namespace table
  for namespace in "${!ADDRESS[@]}"; do
    for table in $(in_namespace "$namespace" nft list tables inet | awk '$3 ~ /^cut-/ {print $3}'); do
      mend_link "$namespace" "${table#cut-}"
    done
  done
}

network_down() {
  local namespace
  for namespace in "${NAMESPACES[@]}"; do
    [[ ! -e /run/netns/$namespace ]] || ip netns del "$namespace"
  done
  until_true 15 "the bridge's cables to be gone" no_host_link
}

no_host_link() { ! ip link show xf-host; }

# in_namespace NAMESPACE COMMAND...: unlike `ip netns exec` it leaves /sys as it is.
in_namespace() {
  local namespace=$1
  shift
  nsenter --net="/run/netns/$namespace" -- "$@"
}
