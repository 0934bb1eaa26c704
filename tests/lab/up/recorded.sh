#!/usr/bin/env bash
# recorded.sh FILE COMMAND...: writes its own process id and start time to FILE and becomes COMMAND, which
# keeps both. No moment exists in which the program runs and is not on record.
set -euo pipefail

# shellcheck disable=SC1091
. "$(dirname "${BASH_SOURCE[0]}")/process.sh"
record=$1
shift
printf '%s %s\n' "$$" "$(start_time "$$")" >"$record.partial"
mv "$record.partial" "$record"
exec "$@"
