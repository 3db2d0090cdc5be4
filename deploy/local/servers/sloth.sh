# Sloth renders Prometheus rules from objectives: what ours are compared with.
sloth=0.12.0
program=$cache/sloth-$sloth/bin/sloth
# shellcheck source=tool.sh
. "$here/tool.sh"

install() {
  once "sloth-$sloth" gotool github.com/slok/sloth "v$sloth" github.com/slok/sloth/cmd/sloth
}

version() { echo $sloth; }
