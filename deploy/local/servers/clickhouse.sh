# ClickHouse: its engine as a library, from npm, behind an HTTP server of ours (chdb/).
chdb=26.7.3-stable.1
port=$((base + 50))

install() {
  once "chdb-$chdb" npm_package "@chdb/lib-linux-x64-gnu@$chdb" && gobuild "$here/chdb"
}

run() {
  mkdir -p "$dir/data"
  exec "$cache/bin/chdb" -library "$cache/chdb-$chdb/package/libchdb.so" -data "$dir/data" -listen "127.0.0.1:$port"
}

ready() { curl -fs "http://127.0.0.1:$port/ping"; }

address() { echo "CLICKHOUSE=http://127.0.0.1:$port"; }

version() { echo "chdb ${chdb%-*}"; }
