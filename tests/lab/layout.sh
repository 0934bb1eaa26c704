# Where everything of the lab lives: folders, namespaces and addresses. Sourced, never run.
# shellcheck shell=bash disable=SC2034

LAB_CACHE=${CROSSFADE_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/crossfade-lab}
LAB_DIR=${CROSSFADE_LAB_DIR:-/run/crossfade-lab}
