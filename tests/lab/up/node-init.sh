#!/usr/bin/env bash
# The first process of a node: puts the node's own folders in place, then waits, taking in orphans as the
# first process of a machine does. Ends when it is told to, and the node with it.
set -euo pipefail

own=$1/own ready=$1/node-ready
shift
mount -t proc proc /proc
for folder in "$@"; do
  mount --bind "$own$folder" "$folder"
done
trap 'exit 0' TERM
touch "$ready"
sleep infinity &
wait
