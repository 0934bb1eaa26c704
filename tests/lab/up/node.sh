# A node: a network, mount and process namespace in which all programs of one cluster run, and the
# cgroup its pods live in. Sourced, never run.
#
# When the first process of a process namespace ends, the kernel ends all the others, and the mounts go
# with the last of them. So ending one recorded process takes down the whole node, pods included, however
# it was left.
# shellcheck shell=bash

# Folders that programs of a node write to by a fixed name. Each node gets its own in their place.
NODE_FOLDERS=(/run/containerd /run/netns /var/lib/cni /var/lib/kubelet /var/log/pods /var/log/containers)

# node_up CLUSTER
node_up() {
  local cluster=$1 folder
  running "$cluster-node" && return
  for folder in "${NODE_FOLDERS[@]}"; do
    mkdir -p "$LAB_DIR/$cluster/own$folder"
    [[ -d $folder ]] || made_folder "$folder"
  done
  node_cgroup_up "$cluster"
  rm -f "$LAB_DIR/$cluster/node-ready"
  start "$cluster-node" nsenter --net="/run/netns/xf-$cluster" -- \
    unshare --mount --propagation private --pid --fork --kill-child -- \
    bash "$LAB/up/node-init.sh" "$LAB_DIR/$cluster" "${NODE_FOLDERS[@]}"
  until_true 30 "the node of $cluster" test -e "$LAB_DIR/$cluster/node-ready"
}

# Folders the lab had to make outside its own, to be removed with it.
made_folder() {
  mkdir -p "$1"
  echo "$1" >>"$LAB_DIR/made-folders"
}

# in_node CLUSTER COMMAND...
in_node() {
  local node
  node=$(inside "$1-node") || die "the node of $1 is not running"
  shift
  nsenter --target "$node" --mount --pid --net -- "$@"
}

# start_in_node CLUSTER PART COMMAND...: the part is recorded as CLUSTER-PART.
start_in_node() {
  local cluster=$1 part=$2 node
  shift 2
  node=$(inside "$cluster-node") || die "the node of $cluster is not running"
  start "$cluster-$part" nsenter --target "$node" --mount --pid --net -- "$@"
}

# The cgroup hierarchies of this machine: one per controller (v1), or a single one (v2).
cgroup_roots() {
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    echo /sys/fs/cgroup
  else
    find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d
  fi
}

# A kubelet ends every pod it does not know under its cgroup root, so each has a root of its own.
node_cgroup_up() {
  local root file
  for root in $(cgroup_roots); do
    [[ ! -e $root/cgroup.controllers ]] || delegate "$root"
    mkdir -p "$root/xf-$1"
    [[ ! -e $root/cgroup.controllers ]] || delegate "$root/xf-$1"
    for file in cpuset.cpus cpuset.mems; do
      # A new v1 cpuset is empty and takes no process until both are set.
      [[ ! -e $root/$file || -e $root/cgroup.controllers ]] || cat "$root/$file" >"$root/xf-$1/$file"
    done
  done
}

# With v2 a controller has to be handed down level by level.
delegate() {
  local controller
  for controller in cpuset cpu io memory hugetlb pids; do
    echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || true
  done
}

node_cgroups() {
  local root cluster
  for root in $(cgroup_roots); do
    for cluster in "${CLUSTERS[@]}"; do
      [[ ! -d $root/xf-$cluster ]] || find "$root/xf-$cluster" -depth -type d
    done
  done
}

node_cgroups_down() { until_true 15 "the cgroups to be empty" remove_cgroups; }

remove_cgroups() {
  node_cgroups | xargs -r rmdir
}
