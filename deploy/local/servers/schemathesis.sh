# Schemathesis asks an HTTP interface whatever its description allows, and what it does not.
schemathesis=4.32.5
program=$cache/schemathesis-$schemathesis/schemathesis
# shellcheck source=tool.sh
. "$here/tool.sh"

install() { once "schemathesis-$schemathesis" python_package "schemathesis==$schemathesis" schemathesis.cli schemathesis; }

version() { echo $schemathesis; }
