# shellcheck source=outside.sh
. "$here/outside.sh"
port=$((base + 103)) smtp=$((base + 102))
options=(--smtp "127.0.0.1:$smtp")

address() {
  echo "MAILBOX=127.0.0.1:$smtp"
  echo "MAILBOX_HTTP=http://127.0.0.1:$port"
}
