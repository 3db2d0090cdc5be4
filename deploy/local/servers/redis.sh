# Redis, from Debian's package. In memory alone: a restart forgets everything.
port=$((base + 30))

install() { once redis debian redis-server; }

run() {
  unpacked redis
  exec redis-server --bind 127.0.0.1 --port "$port" --dir "$dir" --appendonly no --save ''
}

ready() { answers "$port" 'PING\r\n'; }

address() { echo "REDIS=redis://127.0.0.1:$port/0"; }

version() { unpacked redis && redis-server --version | sed 's/.* v=\([^ ]*\).*/\1/'; }
