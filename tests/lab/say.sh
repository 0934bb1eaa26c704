# Progress and failure as a person at a terminal reads them. Sourced, never run.
# shellcheck shell=bash

LAB_BEGAN=${LAB_BEGAN:-$(date +%s)}
export LAB_BEGAN

# One progress line with the seconds since the command began.
say() { printf '[%4ds] %s\n' "$(($(date +%s) - LAB_BEGAN))" "$*"; }

# The end of the command: what went wrong, and what to read or do.
die() {
  printf '[%4ds] FAILED: %s\n' "$(($(date +%s) - LAB_BEGAN))" "$*" >&2
  exit 1
}

# logged LOG COMMAND...: runs quietly into LOG, and shows its end when the command fails. COMMAND is one
# program, or a function of one: inside, `set -e` does not hold.
logged() {
  local log=$1
  shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 15 "$log" | sed 's/^/        | /' >&2
    die "'$1' did not succeed; read $log"
  fi
}

# until_true SECONDS WHAT COMMAND...: polls COMMAND until it succeeds or the deadline has passed.
until_true() {
  local deadline=$(($(date +%s) + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    (($(date +%s) < deadline)) || die "waited too long for $what"
    read -rt 0.1 <> <(:) || true
  done
}
