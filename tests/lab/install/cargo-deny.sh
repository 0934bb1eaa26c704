# The checker of licences and advisories that `make test` runs. Sourced, never run.
# shellcheck shell=bash

build_cargo_deny() {
  local into=$1 log="$LAB_CACHE/logs/cargo-deny-$CARGO_DENY_VERSION.log"
  say "cargo-deny $CARGO_DENY_VERSION: compiling, about 5 minutes; log: $log"
  logged "$log" nice cargo install cargo-deny --locked --version "$CARGO_DENY_VERSION" \
    --root "$into" --target-dir "$into/target"
  rm -rf "$into/target"
}
