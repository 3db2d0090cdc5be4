# A server as a process: found again by the pid that it was started with, and by
# the time of its birth, as pids come round again.

die() {
  echo "servers: $*" >&2
  exit 1
}

# birth PID is its start in clock ticks since the machine's; fails for the dead.
# A zombie is dead once its last thread is: until then its ports are taken.
birth() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra stat <<<"${stat##*) }"
  [ "${stat[0]}" = Z ] && ((stat[17] <= 1)) && return 1
  echo "${stat[19]}"
}

# lives PID BIRTH; who had none was dead already.
lives() { [ -n "${2:-}" ] && [ "$(birth "$1")" = "$2" ]; }

alive() {
  local pid born
  [ -f "$dir/pid" ] && read -r pid born <"$dir/pid" && lives "$pid" "$born"
}

running() { alive || die "$name is not running"; }

pid() { cut -d' ' -f1 "$dir/pid"; }

# family PID is it and all that came from it, a line "PID BIRTH" each. Some
# servers are many processes, and killing the first one leaves the others.
family() {
  local child
  echo "$1 $(birth "$1")"
  for child in $(pgrep -P "$1"); do family "$child"; done
}

# send SIGNAL sends it to those of a family (on stdin) that still live.
send() {
  local pid born
  while read -r pid born; do
    if lives "$pid" "$born"; then kill -"$1" "$pid" 2>/dev/null || true; fi
  done
}

# gone SECONDS waits until the whole family (on stdin) is dead.
gone() {
  local until=$((SECONDS + $1)) pid born
  while read -r pid born; do
    while lives "$pid" "$born"; do
      ((SECONDS < until)) || return 1
      sleep 0.05
    done
  done
}

start() {
  mkdir -p "$dir"
  (
    flock 9
    alive || launch
    await
  ) 9>"$dir/lock"
}

launch() {
  if [ -n "$port" ] && answers "$port"; then die "$name: something else listens on port $port: stop it, or choose other ports with WEIR_PORTS"; fi
  if [ -f "$dir/log" ]; then mv "$dir/log" "$dir/log.old"; fi
  setsid "$here/servers" run "$name" >"$dir/log" 2>&1 </dev/null 9>&- &
  echo "$! $(birth $!)" >"$dir/pid"
}

await() {
  local until=$((SECONDS + patience))
  until ready >/dev/null 2>&1; do
    if ! alive; then
      tail -n 20 "$dir/log" >&2
      die "$name ended while it started: its last words are above, all of them in $dir/log"
    fi
    ((SECONDS < until)) || die "$name does not answer after $patience s: see $dir/log, or wait longer with WEIR_PATIENCE"
    sleep 0.1
  done
}

stop() {
  local all
  alive || return 0
  all=$(family "$(pid)")
  head -n 1 <<<"$all" | send "$stop_signal"
  send CONT <<<"$all" # who is paused hears nothing
  head -n 1 <<<"$all" | gone 30 || echo "servers: $name did not stop within 30 s and is killed" >&2
  finish "$all"
}

# finish FAMILY
finish() {
  send KILL <<<"$1"
  gone 10 <<<"$1" || die "$name lives on after SIGKILL: see ps -p $(pid)"
}

sigkill() {
  running
  finish "$(family "$(pid)")"
}

restart() { stop && start; }

pause() { running && family "$(pid)" | send STOP; }

resume() { running && family "$(pid)" | send CONT; }

purge() { stop && rm -rf "$dir"; }

state() {
  if ! alive; then
    echo down
  elif grep -q '^State:.T' "/proc/$(pid)/status"; then
    echo paused
  elif ready >/dev/null 2>&1; then
    echo up
  else
    echo silent
  fi
}

# memory is the family's proportional set size: pages that they share count once.
memory() {
  local pid
  family "$(pid)" | while read -r pid _; do
    cat "/proc/$pid/smaps_rollup" 2>/dev/null || true
  done | awk '/^Pss:/ {kb += $2} END {printf "%d MiB", kb / 1024}'
}

# answers PORT [BYTES]: something listens there, and says something to BYTES.
answers() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
    if [ -n "${2:-}" ]; then
      # shellcheck disable=SC2059 # BYTES are a format, for their escapes
      printf "$2" >&3
      read -r -t 1 -N 1 -u 3
    fi
  ) 2>/dev/null
}

# fill FILE prints it with every ${NAME} replaced by the line NAME=value of stdin.
fill() {
  local text line
  text=$(<"$1")
  while read -r line; do
    text=${text//"\${${line%%=*}}"/"${line#*=}"}
  done
  printf '%s\n' "$text"
}
