# The planter of mistakes that `make mutants` runs. Sourced, never run.
# shellcheck shell=bash

build_cargo_mutants() {
  local into=$1 log="$LAB_CACHE/logs/cargo-mutants-$CARGO_MUTANTS_VERSION.log"
  say "cargo-mutants $CARGO_MUTANTS_VERSION: compiling, about 3 minutes; log: $log"
  logged "$log" nice cargo install cargo-mutants --locked --version "$CARGO_MUTANTS_VERSION" \
    --root "$into" --target-dir "$into/target"
  rm -rf "$into/target"
}
