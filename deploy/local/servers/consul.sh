# Consul, one server, built from its Go module.
consul=1.21.0
port=$((base + 60)) serf=$((base + 61)) rpc=$((base + 62))

install() { once "consul-$consul" gotool github.com/hashicorp/consul "v$consul" github.com/hashicorp/consul; }

run() {
  exec "$cache/consul-$consul/bin/consul" agent -server -bootstrap-expect=1 -node=weir -data-dir="$dir/data" \
    -bind=127.0.0.1 -client=127.0.0.1 -http-port="$port" -serf-lan-port="$serf" -server-port="$rpc" \
    -serf-wan-port=-1 -dns-port=-1 -grpc-port=-1 -grpc-tls-port=-1 -ui \
    -hcl='disable_update_check = true, performance { raft_multiplier = 1 }'
}

ready() { curl -fs "http://127.0.0.1:$port/v1/status/leader" | grep :; }

address() { echo "CONSUL=http://127.0.0.1:$port"; }

version() { echo $consul; }
