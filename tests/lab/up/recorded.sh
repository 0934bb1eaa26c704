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

# A part outlives whoever started it. A lock file of theirs that it kept open would stay locked for as long as it runs.
for descriptor in /proc/self/fd/*; do
  descriptor=${descriptor##*/}
  # 255 is this script, which the program does not inherit.
  ((descriptor <= 2 || descriptor == 255)) || eval "exec $descriptor>&-"
done
exec "$@"
