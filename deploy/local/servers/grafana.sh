# Panels of Grafana 13, from its own packages of npm (Apache-2.0), its font, and a page
# of ours (grafana/) that lays a board out: numbers, bars and graphs are Grafana's.
grafana=13.2.2
program=$cache/grafana-panels-$grafana.js
# shellcheck source=tool.sh
. "$here/tool.sh"

# The page is bundled again if it has changed: what is fetched stays.
alive() { [ -x "$program" ] && [ "$program" -nt "$here/grafana/panels.jsx" ]; }

install() {
  once "grafana-$grafana" npm_packages "@grafana/ui@$grafana" "@grafana/data@$grafana" "@fontsource/inter@5.3.0" react@19.2.8 react-dom@19.2.8 esbuild@0.28.2 &&
    bundle
}

bundle() {
  local packages=$cache/grafana-$grafana
  cp "$here/grafana/panels.jsx" "$packages/panels.jsx" &&
    (cd "$packages" && node_modules/.bin/esbuild panels.jsx --bundle --minify --jsx=automatic --log-level=error --loader:.svg=text --loader:.css=text --loader:.ttf=empty --loader:.woff2=dataurl \
      --define:process.env.NODE_ENV='"production"' --outfile="$program.part") &&
    chmod +x "$program.part" && mv "$program.part" "$program"
}

version() { echo "$grafana"; }
