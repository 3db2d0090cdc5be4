# Prometheus, built from its Go module: Debian's has no discovery by Consul. The
# module has no web pages; the API is all there.
prometheus=0.316.0 # of the module; the program says 3.16
port=$((base + 90))

install() {
  once "prometheus-$prometheus" gotool github.com/prometheus/prometheus "v$prometheus" \
    github.com/prometheus/prometheus/cmd/prometheus remove_all_sd,enable_consul_sd
  render
}

# render writes the rules of the business, by bin/weir if it is of this source.
render() {
  local weir=("$repo/bin/weir")
  if [ ! -x "${weir[0]}" ] || [ -n "$(find "$repo" -name '*.go' -newer "${weir[0]}" -print -quit)" ]; then
    need go golang
    weir=(nice go run -C "$repo" -tags synctests .)
  fi
  rm -rf "$dir/alerts"
  "${weir[@]}" alerts render --out "$dir/alerts" --runbooks http://127.0.0.1:8080/runbooks/ >"$dir/render.log" 2>&1 || {
    cat "$dir/render.log" >&2
    die "$name has no rules: why is above; leave it out with SKIP=$name"
  }
}

run() {
  { addresses consul && echo "WEIR_ALERTS=$dir/alerts"; } | fill "$here/prometheus.yml" >"$dir/prometheus.yml"
  exec "$cache/prometheus-$prometheus/bin/prometheus" --config.file="$dir/prometheus.yml" \
    --storage.tsdb.path="$dir/data" --storage.tsdb.retention.time=7d \
    --web.listen-address="127.0.0.1:$port" --web.enable-lifecycle --enable-feature=exemplar-storage,created-timestamp-zero-ingestion
}

ready() { curl -fs "http://127.0.0.1:$port/-/ready"; }

address() { echo "PROMETHEUS=http://127.0.0.1:$port"; }

version() { echo "$prometheus"; }
