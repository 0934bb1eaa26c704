# The tools that cargo installs: the checker of licences, and the planter of mistakes. Sourced, never run.
# shellcheck shell=bash

# build_cargo_tool NAME VERSION MINUTES FOLDER
build_cargo_tool() {
  local name=$1 version=$2 minutes=$3 into=$4 log="$LAB_CACHE/logs/$1-$2.log"
  say "$name $version: compiling, about $minutes minutes; log: $log"
  logged "$log" nice cargo install "$name" --locked --version "$version" --root "$into" --target-dir "$into/target"
  rm -rf "$into/target"
}
