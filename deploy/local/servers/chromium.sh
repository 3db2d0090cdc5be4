# Chromium, of this machine if there is one, else from Debian's package.
program=$(command -v chromium || echo "$cache/chromium-browser/chromium")
# shellcheck source=tool.sh
. "$here/tool.sh"

install() {
  once chromium debian chromium chromium-common fonts-dejavu-core && once chromium-browser launcher
}

# launcher is a program that finds Debian's libraries and fonts in the cache; the
# package's own script looks for them in the system.
launcher() {
  local root=$cache/chromium
  cat >fonts.conf <<CONF
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>$root/usr/share/fonts</dir><cachedir>$cache/fontconfig</cachedir></fontconfig>
CONF
  cat >chromium <<SCRIPT
#!/bin/sh
export LD_LIBRARY_PATH='$root/usr/lib/$(uname -m)-linux-gnu' FONTCONFIG_FILE='$cache/chromium-browser/fonts.conf'
exec '$root/usr/lib/chromium/chromium' "\$@"
SCRIPT
  chmod +x chromium
}

version() { "$program" --version 2>/dev/null | sed 's/^[^0-9]*\([0-9.]*\).*/\1/'; }
