# Prometheus, built from its Go module: Debian's has no discovery by Consul. The
# module has no web pages; the API is all there.
prometheus=0.316.0 # of the module; the program says 3.16
port=$((base + 90))

install() {
  once "prometheus-$prometheus" gotool github.com/prometheus/prometheus "v$prometheus" \
    github.com/prometheus/prometheus/cmd/prometheus remove_all_sd,enable_consul_sd
}

run() {
  addresses consul | fill "$here/prometheus.yml" >"$dir/prometheus.yml"
  exec "$cache/prometheus-$prometheus/bin/prometheus" --config.file="$dir/prometheus.yml" \
    --storage.tsdb.path="$dir/data" --storage.tsdb.retention.time=7d \
    --web.listen-address="127.0.0.1:$port" --web.enable-lifecycle
}

ready() { curl -fs "http://127.0.0.1:$port/-/ready"; }

address() { echo "PROMETHEUS=http://127.0.0.1:$port"; }

version() { echo "$prometheus"; }
