# Redocly lints descriptions of HTTP interfaces.
redocly=2.77.0
program=$cache/redocly-$redocly/node_modules/.bin/redocly
# shellcheck source=tool.sh
. "$here/tool.sh"

install() { once "redocly-$redocly" npm_packages "@redocly/cli@$redocly"; }

version() { echo $redocly; }
