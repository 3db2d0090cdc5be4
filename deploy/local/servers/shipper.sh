# rsyslog, from Debian's packages: ships weir's logs into OpenSearch.
port='' # it tails files, and listens nowhere
# At SIGTERM it drops the batch that it cannot send; killed, it loses nothing.
stop_signal=KILL

install() { once rsyslog debian rsyslog rsyslog-elasticsearch; }

run() {
  unpacked rsyslog
  local search
  search=$(addresses opensearch | sed 's|.*//||')
  mkdir -p "$local/logs" "$dir/work"
  {
    echo "LOGS=$local/logs" && echo "WORK=$dir/work"
    echo "HOST=${search%:*}" && echo "PORT=${search#*:}"
  } | fill "$repo/deploy/shipper/rsyslog.conf" >"$dir/rsyslog.conf"
  rm -f "$dir/ready"
  exec rsyslogd -n -f "$dir/rsyslog.conf" -i "$dir/ready" -M "$(dirname "$(find "$cache/rsyslog" -name imfile.so)")"
}

ready() { [ -s "$dir/ready" ]; }

address() { echo "LOGS=$local/logs"; }

version() { unpacked rsyslog && rsyslogd -v | sed -n '1s/rsyslogd *\([0-9.]*\).*/\1/p'; }
