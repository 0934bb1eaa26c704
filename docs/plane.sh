#!/bin/sh
# A plane for Crossfade by the contract of planes.md: two servers of an HAProxy. Wants jq and socat.
# plane.sh SOCKET BACKEND SOURCE TARGET
socket=$1 backend=$2 source=$3 target=$4
say() { printf '%s\n' "$1" | socat -t 2 - "UNIX-CONNECT:$socket"; }
answer() { printf '{"contract": "crossfade.dev/plane/v1"%s}\n' "$1"; exit 0; }
fail() { answer ", \"error\": {\"meaning\": \"$1\", \"message\": \"$2\", \"weight\": $now}"; }
field() { printf '%s\n' "$state" | awk -v name="$1" -v column="$2" '$4 == name { print $column }'; }
give() { [ -z "$(say "set server $backend/$1 weight $2" | tr -d '\n ')" ] || fail refused "weight of $1"; }
# Who gains comes first, so that every weight on the way lies between the two.
both() { if [ "$2" -ge "$t" ]; then give "$target" "$2"; give "$source" "$1"; else give "$source" "$1"; give "$target" "$2"; fi; }
side() { if [ "$(field "$1" 7)" = 0 ]; then echo '{"usable": 1}'; else echo '{"usable": 0}'; fi; }
request=$(cat) now=0
asked() { printf '%s' "$request" | jq -r "$1"; }
state=$(say "show servers state $backend") || fail unreachable "$socket"
s=$(field "$source" 8) t=$(field "$target" 8)
if [ -z "$s" ] || [ -z "$t" ]; then fail notFound "$backend/$source or $backend/$target"; fi
[ $((s + t)) -eq 0 ] || now=$(((20000 * t + s + t) / (2 * (s + t))))
case $(asked .verb) in
observe)
  answer ", \"weight\": $now, \"step\": 100, \"setting\": \"$s $t\", \"source\": $(side "$source"), \"target\": $(side "$target")" ;;
shift)
  from=$(asked .from) to=$(asked .to)
  # Neither above both nor below both.
  if [ "$now" -gt "$from" ] && [ "$now" -gt "$to" ]; then fail changed "now $now"; fi
  if [ "$now" -lt "$from" ] && [ "$now" -lt "$to" ]; then fail changed "now $now"; fi
  both $((100 - to / 100)) $((to / 100)) && answer "" ;;
restore) setting=$(asked .setting); both "${setting% *}" "${setting#* }" && answer "" ;;
drain) say "set server $backend/$source state maint" >/dev/null && answer "" ;;
*) fail refused "an unknown verb" ;;
esac
