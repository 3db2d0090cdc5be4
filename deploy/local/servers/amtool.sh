# amtool, of Alertmanager: checks its configuration and says where an alert goes.
alertmanager=0.31.1
program=$cache/amtool-$alertmanager/bin/amtool
# shellcheck source=tool.sh
. "$here/tool.sh"

install() {
  once "amtool-$alertmanager" gotool github.com/prometheus/alertmanager "v$alertmanager" github.com/prometheus/alertmanager/cmd/amtool
}

version() { echo $alertmanager; }
