# Starting, finding and ending the lab's programs by what was recorded of them. Sourced, never run.
#
# A record is the process id and the start time the kernel knows it by, so that an id used again by
# somebody else's program is never taken for ours.
# shellcheck shell=bash

# start PART COMMAND...: runs COMMAND in the background unless it runs already.
start() {
  local part=$1
  shift
  running "$part" && return
  mkdir -p "$LAB_DIR/pids" "$LAB_DIR/logs"
  rm -f "$LAB_DIR/pids/$part"
  setsid "$LAB/up/recorded.sh" "$LAB_DIR/pids/$part" "$@" >>"$LAB_DIR/logs/$part.log" 2>&1 </dev/null &
  until_true 30 "$part to be started" test -e "$LAB_DIR/pids/$part"
}

# start_time PID: when the process began, as the kernel counts it; field 22 of its stat line.
start_time() {
  local stat fields
  read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  # The second field is the program's name in brackets and may hold anything, also spaces.
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != Z ]] && echo "${fields[19]}"
}

# recorded PART: prints the part's process id if that very process still lives.
recorded() {
  local pid began
  read -r pid began 2>/dev/null <"$LAB_DIR/pids/$1" || return 1
  [[ $(start_time "$pid") == "$began" ]] && echo "$pid"
}

running() { recorded "$1" >/dev/null; }

# The process inside: entering a pid namespace leaves `nsenter` or `unshare` outside as its parent.
inside() {
  local pid
  pid=$(recorded "$1") || return 1
  case $(<"/proc/$pid/comm") in
    nsenter | unshare) pgrep -P "$pid" ;;
    *) echo "$pid" ;;
  esac
}

# stop PART [SECONDS]: asks it and its children to end, and ends them when they have not within the time.
# Every part leads a process group, which is there for as long as any of them lives.
stop() {
  local part=$1 patience=${2:-10} signal=TERM deadline pid
  if pid=$(recorded "$part"); then
    deadline=$(($(date +%s) + patience))
    # A zombie has ended; when it is taken away is its parent's affair.
    while pgrep --pgroup "$pid" --runstates D,R,S,T,t >/dev/null; do
      kill "-$signal" -- "-$pid" 2>/dev/null || true
      (($(date +%s) < deadline)) || signal=KILL
      read -rt 0.1 <> <(:) || true
    done
  fi
  rm -f "$LAB_DIR/pids/$part"
}
