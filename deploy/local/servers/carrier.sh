# shellcheck source=outside.sh
. "$here/outside.sh"
port=$((base + 101))

address() { echo "CARRIER=http://127.0.0.1:$port"; }
