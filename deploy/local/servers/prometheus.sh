# Prometheus, built from its Go module: Debian's has no discovery by Consul. The
# module has no web pages; the API is all there.
prometheus=0.316.0 # of the module; the program says 3.16
port=$((base + 90))

install() {
  once "prometheus-$prometheus" gotool github.com/prometheus/prometheus "v$prometheus" \
    github.com/prometheus/prometheus/cmd/prometheus remove_all_sd,enable_consul_sd
  render
}

# render writes the rules of the business, as bin/weir has them or, if it is not
# there or older than they are, as the source has.
render() {
  local to=(alerts render --out "$dir/alerts.new" --runbooks http://127.0.0.1:8080/runbooks/)
  rm -rf "$dir/alerts.new"
  "$repo/bin/weir" "${to[@]}" >"$dir/render.log" 2>&1 ||
    (cd "$repo" && nice go run -tags synctests . "${to[@]}") >"$dir/render.log" 2>&1 || {
    cat "$dir/render.log" >&2
    die "$name has no rules: why is above; leave it out with SKIP=$name"
  }
  rm -rf "$dir/alerts" && mv "$dir/alerts.new" "$dir/alerts"
}

run() {
  { addresses consul && echo "WEIR_ALERTS=$dir/alerts"; } | fill "$here/prometheus.yml" >"$dir/prometheus.yml"
  exec "$cache/prometheus-$prometheus/bin/prometheus" --config.file="$dir/prometheus.yml" \
    --storage.tsdb.path="$dir/data" --storage.tsdb.retention.time=7d \
    --web.listen-address="127.0.0.1:$port" --web.enable-lifecycle --enable-feature=exemplar-storage
}

ready() { curl -fs "http://127.0.0.1:$port/-/ready"; }

address() { echo "PROMETHEUS=http://127.0.0.1:$port"; }

version() { echo "$prometheus"; }
