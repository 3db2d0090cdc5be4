# MongoDB's protocol, served by FerretDB from SQLite (ferret/): not MongoDB itself.
port=$((base + 40))

install() { gobuild "$here/ferret"; }

run() {
  mkdir -p "$dir/data"
  exec "$cache/bin/ferret" -listen "127.0.0.1:$port" -data "$dir/data"
}

ready() { answers "$port"; }

address() { echo "MONGO=mongodb://127.0.0.1:$port/"; }

version() { echo "ferret $(sed -n 's|.*FerretDB/FerretDB v||p' "$here/ferret/go.mod")"; }
