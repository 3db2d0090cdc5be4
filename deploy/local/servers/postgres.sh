# PostgreSQL, of this machine if there is one, else from Debian's package.
port=$((base + 10))
# SIGTERM would wait for every client to go.
stop_signal=INT

install() { [ -n "$(programs)" ] || once postgres debian postgresql; }

# programs is the directory of postgres and initdb, the machine's before the cache's.
programs() {
  local found
  found=$(shopt -s nullglob && printf '%s\n' "$cache"/postgres/usr/lib/postgresql/*/bin/postgres /usr/lib/postgresql/*/bin/postgres | tail -n 1)
  echo "${found%/postgres}"
}

# as_nobody COMMAND... runs it as another user if this is root, as PostgreSQL
# refuses to be root. It keeps the right to pass through root's directories; the
# securebit is for access(2), which would not count that right.
as_nobody() {
  if ((UID)); then exec "$@"; fi
  exec setpriv --reuid=nobody --regid=nogroup --clear-groups --securebits=+no_setuid_fixup \
    --inh-caps=+dac_override --ambient-caps=+dac_override "$@"
}

create() {
  rm -rf "$dir/data"
  mkdir "$dir/data"
  if ((!UID)); then chown nobody:nogroup "$dir/data"; fi
  (as_nobody "$1/initdb" --pgdata="$dir/data" --username=weir --pwfile=<(echo weir) --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8)
  echo 'CREATE DATABASE weir' | (as_nobody "$1/postgres" --single -D "$dir/data" postgres)
  touch "$dir/created"
}

run() {
  local bin
  bin=$(programs)
  export LD_LIBRARY_PATH
  if [[ $bin == "$cache"/* ]]; then unpacked postgres; fi
  [ -f "$dir/created" ] || create "$bin"
  # It takes a zombie for a running server, and where init reaps nobody it is one
  # for ever. That none runs is known here: start looked.
  rm -f "$dir/data/postmaster.pid"
  as_nobody "$bin/postgres" -D "$dir/data" -c listen_addresses=127.0.0.1 -c port="$port" -c unix_socket_directories= \
    -c max_connections=300 -c fsync=on -c log_line_prefix='%m [%p] '
}

ready() { "$(programs)/pg_isready" --host=127.0.0.1 --port="$port"; }

address() { echo "POSTGRES=postgres://weir:weir@127.0.0.1:$port/weir?sslmode=disable"; }

version() { "$(programs)/postgres" --version | sed 's/^[^0-9]*\([0-9.]*\).*/\1/'; }
