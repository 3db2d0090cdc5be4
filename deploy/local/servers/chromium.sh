# Chromium, of this machine if there is one, else from Debian's package.
program=$(command -v chromium || echo "$cache/chromium-launcher/chromium")
# shellcheck source=tool.sh
. "$here/tool.sh"

install() {
  once chromium debian chromium chromium-common fonts-dejavu-core && once chromium-launcher launcher
}

# launcher is a program that finds Debian's libraries and fonts in the cache; the
# package's own script looks for them in the system.
launcher() {
  local root=$cache/chromium
  unpacked chromium
  cat >fonts.conf <<CONF
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>$root/usr/share/fonts</dir><cachedir>$cache/fontconfig</cachedir></fontconfig>
CONF
  cat >chromium <<SCRIPT
#!/bin/sh
export LD_LIBRARY_PATH='$LD_LIBRARY_PATH' FONTCONFIG_FILE='$cache/chromium-launcher/fonts.conf'
exec '$root/usr/lib/chromium/chromium' "\$@"
SCRIPT
  chmod +x chromium
  ./chromium --version # fails here, and not in a test, if a library is missing
}

version() { "$program" --version 2>/dev/null | sed 's/^[^0-9]*\([0-9.]*\).*/\1/'; }
