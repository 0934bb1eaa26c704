# What runs pods: containerd, the kubelet and kube-proxy of a node. Sourced, never run.
# shellcheck shell=bash

PAUSE_IMAGE=crossfade.lab/pause:1

containerd_socket() { printf '%s' "$LAB_DIR/$1/containerd.sock"; }

start_containerd() {
  local cluster=$1 home=$LAB_DIR/$1
  mkdir -p "$home/cni"
  cni_config "$cluster" >"$home/cni/10-$cluster.conflist"
  containerd_config "$cluster" >"$home/containerd.toml"
  start_in_node "$cluster" containerd containerd --config "$home/containerd.toml" --log-level warn
}

containerd_config() {
  cat <<TOML
version = 2
root = "$LAB_DIR/$1/containerd"
state = "$LAB_DIR/$1/containerd-state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "$(containerd_socket "$1")"

[plugins."io.containerd.internal.v1.opt"]
path = "$LAB_DIR/$1/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "$PAUSE_IMAGE"
# Needed where the lab itself runs without the right to lower an OOM score.
restrict_oom_score_adj = true
# A profile would be loaded into the machine's kernel and stay there.
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${CNI_PROGRAMS:-/usr/lib/cni}"
conf_dir = "$LAB_DIR/$1/cni"
TOML
}

# Pods keep their addresses on the whole VPC, so nothing is masqueraded here.
cni_config() {
  cat <<JSON
{
  "cniVersion": "0.4.0",
  "name": "xf-$1",
  "plugins": [{
    "type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true,
    "ipam": {
      "type": "host-local", "dataDir": "$LAB_DIR/$1/addresses",
      "ranges": [[{"subnet": "${POD_RANGE[$1]%.0.0/16}.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
JSON
}

containerd_ready() { ctr --address "$(containerd_socket "$1")" version; }

import_images() {
  logged "$LAB_DIR/logs/$1-images.log" \
    in_node "$1" ctr --address "$(containerd_socket "$1")" --namespace k8s.io images import "$APP_DIR/images.tar"
}

start_kubelet() {
  local cluster=$1 home=$LAB_DIR/$1
  kubelet_config "$cluster" >"$home/kubelet.yaml"
  : >"$home/resolv.conf"
  local flags=(--config "$home/kubelet.yaml" --kubeconfig "$CREDENTIALS/$cluster.kubeconfig"
    --hostname-override "$cluster" --node-ip "${ADDRESS[xf-$cluster]}" --cert-dir "$home/certificates")
  # 1.20 takes the container runtime by flags, 1.37 only from the file.
  [[ $cluster != blue ]] ||
    flags+=(--container-runtime remote --container-runtime-endpoint "unix://$(containerd_socket blue)")
  start_in_node "$cluster" kubelet "${BIN[$cluster]}/kubelet" "${flags[@]}"
}

kubelet_config() {
  cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: false}
  x509: {clientCAFile: $CREDENTIALS/ca.crt}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /xf-$1
enforceNodeAllocatable: []
failSwapOn: false
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 2s
readOnlyPort: 0
resolvConf: $LAB_DIR/$1/resolv.conf
volumePluginDir: $LAB_DIR/$1/volume-plugins
YAML
  [[ $1 != green ]] || cat <<YAML
failCgroupV1: false
containerRuntimeEndpoint: unix://$(containerd_socket green)
YAML
}

# The conntrack settings are the machine's and not the lab's to write.
start_kube_proxy() {
  start_in_node "$1" kube-proxy "${BIN[$1]}/kube-proxy" \
    --kubeconfig "$CREDENTIALS/$1.kubeconfig" --hostname-override "$1" --cluster-cidr "${POD_RANGE[$1]}" \
    --proxy-mode "${PROXY_MODE[$1]}" --conntrack-max-per-core 0 \
    --conntrack-tcp-timeout-established 0s --conntrack-tcp-timeout-close-wait 0s
}

declare -A PROXY_MODE=([blue]=iptables [green]=nftables)

node_ready() {
  kube "$1" get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -qx True
}

node_usable() {
  node_ready "$1" && [[ -z $(kube "$1" get node "$1" -o 'jsonpath={.spec.taints}') ]]
}

runtime_up() {
  local cluster=$1
  running "$cluster-kubelet" || until_true 60 "containerd of $cluster; read $LAB_DIR/logs/$cluster-containerd.log" \
    containerd_ready "$cluster"
  [[ -e $LAB_DIR/$cluster/images-imported ]] || import_images "$cluster"
  touch "$LAB_DIR/$cluster/images-imported"
  start_kubelet "$cluster"
  start_kube_proxy "$cluster"
  until_true 120 "the node of $cluster to be Ready; read $LAB_DIR/logs/$cluster-kubelet.log" node_usable "$cluster"
}
