# The cache of what is slow to build: a folder per part and version, there only when it is whole.
# Sourced, never run.
# shellcheck shell=bash

# cached PART-VERSION FUNCTION...: calls FUNCTION with an empty temporary folder and keeps the folder
# under its final name when the function succeeds, so that a build killed half-way leaves nothing
# that looks finished.
cached() {
  local name=$1 whole="$LAB_CACHE/$1" partial
  shift
  if [[ -d $whole ]]; then
    say "$name: in the cache"
    return
  fi
  mkdir -p "$LAB_CACHE"
  exec {lock}>"$LAB_CACHE/.$name.lock"
  flock "$lock"
  if [[ ! -d $whole ]]; then
    find "$LAB_CACHE" -maxdepth 1 -name ".$name.partial.*" -exec rm -rf {} +
    partial=$(mktemp -d "$LAB_CACHE/.$name.partial.XXXXXX")
    "$@" "$partial"
    mv "$partial" "$whole"
    say "$name: built"
  fi
  exec {lock}>&-
}
