# Jaeger, all in one process, the traces in memory; built from its Go module.
jaeger=1.76.0
port=$((base + 70)) grpc=$((base + 71)) http=$((base + 72))

install() {
  once "jaeger-$jaeger" gotool github.com/jaegertracing/jaeger "v$jaeger" github.com/jaegertracing/jaeger/cmd/all-in-one
}

run() {
  local options=(--memory.max-traces=50000 --query.http-server.host-port="127.0.0.1:$port"
    --collector.otlp.grpc.host-port="127.0.0.1:$grpc" --collector.otlp.http.host-port="127.0.0.1:$http"
    --admin.http.host-port="127.0.0.1:$((base + 73))" --query.grpc-server.host-port="127.0.0.1:$((base + 74))"
    --collector.grpc-server.host-port="127.0.0.1:$((base + 75))" --collector.http-server.host-port="127.0.0.1:$((base + 76))")
  exec "$cache/jaeger-$jaeger/bin/all-in-one" "${options[@]}"
}

ready() { curl -fs "http://127.0.0.1:$port/api/services" && answers "$grpc" && answers "$http"; }

address() {
  echo "JAEGER=http://127.0.0.1:$port"
  echo "JAEGER_GRPC=127.0.0.1:$grpc"
  echo "JAEGER_HTTP=127.0.0.1:$http"
}

version() { echo $jaeger; }
