# shellcheck source=outside.sh
. "$here/outside.sh"
port=$((base + 100))

address() { echo "PROVIDER=http://127.0.0.1:$port"; }
