# Jaeger, all in one process, the traces in memory; built from its Go module.
jaeger=1.76.0
port=$((base + 70))

install() { once "jaeger-$jaeger" gotool github.com/jaegertracing/jaeger "v$jaeger" github.com/jaegertracing/jaeger/cmd/all-in-one; }

run() { exec "$cache/jaeger-$jaeger/bin/all-in-one" --help; }
