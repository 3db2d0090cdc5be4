# promtool, Prometheus' own: checks rules and runs their tests.
# shellcheck source=prometheus.sh
. "$here/prometheus.sh"
program=$cache/promtool-$prometheus/bin/promtool
# shellcheck source=tool.sh
. "$here/tool.sh"

install() {
  once "promtool-$prometheus" gotool github.com/prometheus/prometheus "v$prometheus" \
    github.com/prometheus/prometheus/cmd/promtool remove_all_sd,enable_consul_sd
}
