# The end of the lab, however it was left: whole, half started, or half ended. Sourced, never run.
# shellcheck shell=bash

lab_down() {
  local record folder
  for record in "$LAB_DIR"/pids/*; do
    # A node takes everything that runs inside it along, so only what is outside is left to stop.
    case ${record##*/} in
      *-node) end_node "${record##*/}" ;;
      haproxy | prometheus | *-targets) stop "${record##*/}" 5 ;;
    esac
  done
  say "processes: ended"
  until_true 15 "the last processes of the lab's namespaces to end" end_strays
  network_down
  say "namespaces: removed"
  node_cgroups_down
  remove_mounts
  if [[ -e $LAB_DIR/made-folders ]]; then
    while read -r folder; do rmdir "$folder" 2>/dev/null || true; done <"$LAB_DIR/made-folders"
  fi
  rm -rf "$LAB_DIR"
  nothing_left
  say "cgroups, mounts and files: removed"
}

end_node() {
  local pid
  if pid=$(inside "$1"); then kill -KILL "$pid"; fi
  rm -f "$LAB_DIR/pids/$1"
}

# Whatever still runs in a namespace the lab made was started for the lab. Succeeds when nothing does.
end_strays() {
  local namespace pids left=0
  for namespace in "${NAMESPACES[@]}"; do
    [[ -e /run/netns/$namespace ]] || continue
    pids=$(ip netns pids "$namespace")
    [[ -n $pids ]] || continue
    left=1
    xargs kill -KILL <<<"$pids" 2>/dev/null || true
  done
  ((left == 0))
}

lab_mounts() { awk -v under="$LAB_DIR/" 'index($5, under) == 1 {print $5}' /proc/self/mountinfo; }

remove_mounts() { lab_mounts | sort -r | xargs -r umount --lazy; }

nothing_left() {
  local left namespace
  left=$(
    for namespace in "${NAMESPACES[@]}"; do
      [[ ! -e /run/netns/$namespace ]] || echo "namespace $namespace"
    done
    lab_mounts
    node_cgroups
    ip -oneline link show xf-host 2>/dev/null || true
  )
  [[ -z $left ]] || die "left behind: $left"
}
