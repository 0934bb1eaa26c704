#!/usr/bin/env bash
# Brings what the lab needs and this machine lacks. Everything is looked for first, so that on a machine
# that has it all this takes seconds.
set -euo pipefail

LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for file in versions layout.sh say.sh install/{packages,cache,go,kubernetes,app,envoy,cargo-tool}.sh; do
  # shellcheck source=/dev/null
  . "$LAB/$file"
done

# kubernetes CLUSTER VERSION: unless somebody's own programs were named for it.
kubernetes() {
  local cluster=$1 version=$2
  if [[ ${BIN[$cluster]} != "$LAB_CACHE"/* ]]; then
    [[ -x ${BIN[$cluster]}/kube-apiserver ]] || die "no kube-apiserver in ${BIN[$cluster]}, which was named for $cluster"
    say "kubernetes for $cluster: ${BIN[$cluster]}, as named"
  elif [[ -d $LAB_CACHE/kubernetes-$version ]]; then
    say "kubernetes-$version: in the cache"
  else
    need_go
    cached "kubernetes-$version" "build_$cluster"
  fi
}

command -v cargo >/dev/null || die "cargo is missing; install Rust first"
install_packages
build_app
kubernetes blue "$BLUE_VERSION"
kubernetes green "$GREEN_VERSION"
[[ -d $LAB_CACHE/kubectl-convert-$GREEN_VERSION ]] || need_go
cached "kubectl-convert-$GREEN_VERSION" build_kubectl_convert
cached "envoy-$ENVOY_VERSION" fetch_envoy
cached "cargo-deny-$CARGO_DENY_VERSION" build_cargo_tool cargo-deny "$CARGO_DENY_VERSION" 5
say "installed; next: make lab-up"
