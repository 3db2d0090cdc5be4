# MongoDB's protocol, served by FerretDB (ferret/) from a database of PostgreSQL's
# here: not MongoDB itself.
port=$((base + 40))

install() { gobuild "$here/ferret"; }

run() {
  SKIP='' WEIR_LOCAL=$local WEIR_PORTS=$base "$here/servers" up postgres
  # It holds a connection for every update of a command until the command ends:
  # one with more updates than connections would wait for ever.
  exec "$cache/bin/ferret" -listen "127.0.0.1:$port" -postgres "postgres://weir:weir@127.0.0.1:$((base + 10))/ferret?sslmode=disable&pool_max_conns=80"
}

ready() { answers "$port"; }

address() { echo "MONGO=mongodb://127.0.0.1:$port/"; }

version() { echo "ferret $(sed -n 's|.*FerretDB/FerretDB v||p' "$here/ferret/go.mod")"; }
