# The Debian and Ubuntu packages the lab needs and this machine lacks. Sourced, never run.
# shellcheck shell=bash

# A program to look for, and the package that brings it.
declare -A PACKAGE_OF=(
  [haproxy]=haproxy [nginx]=nginx [prometheus]=prometheus [etcd]=etcd-server [containerd]=containerd [runc]=runc
  [/usr/lib/cni/bridge]=containernetworking-plugins [iptables]=iptables [nft]=nftables [conntrack]=conntrack
  [ip]=iproute2 [nsenter]=util-linux [pgrep]=procps [socat]=socat [jq]=jq [curl]=curl [openssl]=openssl
  [chromium]=chromium
  [named]=bind9 [nsupdate]=bind9-dnsutils [pdns_server]=pdns-backend-sqlite3 [sqlite3]=sqlite3
  [cc]=build-essential [python3]=python3 [pip3]=python3-pip [shellcheck]=shellcheck [strace]=strace [faketime]=faketime
)

install_packages() {
  local program packages=() missing=()
  for program in "${!PACKAGE_OF[@]}"; do
    command -v "$program" >/dev/null || missing+=("$program") packages+=("${PACKAGE_OF[$program]}")
  done
  if ((${#missing[@]} == 0)); then
    say "packages: all here"
    return
  fi
  [[ $(id -u) == 0 ]] || die "missing packages need root to install: ${packages[*]}"
  say "packages: installing ${packages[*]}"
  logged "$LAB_CACHE/logs/apt-update.log" apt-get update
  without_starting_services \
    logged "$LAB_CACHE/logs/apt-install.log" \
    env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}"
  for program in "${missing[@]}"; do
    keep_disabled "$program"
  done
}

# Several of the packages start a service of their own at once, which nobody asked for. Debian's way to
# forbid it is a policy program that answers 101. Somebody else's is left in charge; one of ours can only be
# there because an install was killed, and is taken away at the end as it should have been.
without_starting_services() {
  local policy=/usr/sbin/policy-rc.d mark='made by the lab of crossfade'
  if [[ -e $policy ]] && ! grep -q "$mark" "$policy"; then
    "$@"
    return
  fi
  printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" >"$policy"
  chmod +x "$policy"
  (
    trap 'rm -f "$policy"' EXIT
    "$@"
  )
}

# Nor shall they start with the machine's next boot; such a service bears its program's name, or the better part of it.
keep_disabled() {
  command -v systemctl >/dev/null || return 0
  systemctl disable "${1%_server}.service" >/dev/null 2>&1 || true
}
