# Where programs come from: packages of Debian, Maven, npm and Go, put into the
# cache and nowhere else. No installation, so no root, and no service is started.

# need PROGRAM PACKAGE, Debian's
need() { command -v "$1" >/dev/null || die "$name needs $1: install it, from the package $2 or another one"; }

# once DIRECTORY COMMAND... fills a directory of the cache, whole or not at all.
# The command runs in it; $made is its path to be.
once() {
  local made=$cache/$1
  shift
  (
    flock 8
    if [ -d "$made" ]; then exit; fi
    echo "servers: fetching ${made##*/}" >&2
    rm -rf "$made.part"
    mkdir -p "$made.part"
    cd "$made.part" || exit
    ("$@") >"$made.log" 2>&1 || {
      tail -n 20 "$made.log" >&2
      die "$name cannot be installed: why is above, all of it in $made.log; leave it out with SKIP=$name"
    }
    mv "$made.part" "$made"
  ) 8>"$made.lock"
}

# debian PACKAGE... unpacks them and what they need that this machine has not.
# apt reads lists of its own: they are fresh, and the machine's stay as they are.
debian() {
  need apt-get apt && need dpkg dpkg
  local apt=(apt-get -q -o "Dir::State::Lists=$cache/apt/lists" -o "Dir::Cache=$cache/apt" -o APT::Sandbox::User= -o Debug::NoLocking=1)
  mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial"
  (flock 7 && "${apt[@]}" update) 7>"$cache/apt/lock" &&
    "${apt[@]}" install --simulate --no-install-recommends "$@" >needed &&
    awk '$1 == "Inst" {print $2}' needed | sort -u - <(printf '%s\n' "$@") | xargs "${apt[@]}" download &&
    for deb in *.deb; do dpkg -x "$deb" . || return; done &&
    rm -f -- *.deb
}

# unpacked DIRECTORY puts the programs and libraries of unpacked packages first.
# Some libraries lie in directories of their own, as PulseAudio's.
unpacked() {
  local root=$cache/$1
  export PATH=$root/usr/sbin:$root/usr/bin:$root/sbin:$root/bin:$PATH
  LD_LIBRARY_PATH=$(find "$root" -path "*/$(uname -m)-linux-gnu/*.so*" -printf '%h\n' | sort -u | paste -sd:)
  export LD_LIBRARY_PATH
}

# maven GROUP:ARTIFACT:VERSION... fetches the jars and all they depend on.
maven() {
  need java openjdk-17-jdk-headless && need mvn maven
  local g a v
  {
    echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    echo '<groupId>weir</groupId><artifactId>local</artifactId><version>1</version><packaging>pom</packaging><dependencies>'
    while IFS=: read -r g a v; do
      echo "<dependency><groupId>$g</groupId><artifactId>$a</artifactId><version>$v</version></dependency>"
    done < <(printf '%s\n' "$@")
    echo '</dependencies></project>'
  } >pom.xml
  mvn -q -B dependency:copy-dependencies -DoutputDirectory=.
}

# gotool MODULE VERSION PACKAGE [TAGS] builds a command of a public Go module, in
# a scratch module. That one starts from the module's own go.sum: a few sums are
# missing from the public database. The build is long and lets others go first.
gotool() {
  need go golang
  local source
  export GOFLAGS=-mod=mod
  mkdir src bin && cd src &&
    go mod init local &&
    source=$(go mod download -json "$1@$2" | sed -n 's/.*"Dir": "\(.*\)",*/\1/p') &&
    cp "$source/go.sum" . && chmod u+w go.sum &&
    go get -tool "$3@$2" &&
    nice -n 19 go build -trimpath -tags="${4:-}" -ldflags='-s -w' -o ../bin/ "$3" &&
    cd .. && rm -rf src
}

# gobuild DIRECTORY builds a command of ours; Go knows what is up to date.
gobuild() {
  need go golang
  mkdir -p "$cache/bin"
  (cd "$1" && nice go build -o "$cache/bin/" .) >"$dir/build.log" 2>&1 || {
    cat "$dir/build.log" >&2
    die "$name cannot be built: why is above; leave it out with SKIP=$name"
  }
}

# npm_package NAME@VERSION unpacks a package of npm into package/.
npm_package() {
  need npm npm
  npm pack --silent "$1" && tar -xzf ./*.tgz && rm -f ./*.tgz
}

# npm_packages NAME@VERSION... installs packages and what they need. No script of
# theirs is run.
npm_packages() {
  need npm npm && need node nodejs
  echo '{"private": true}' >package.json
  nice npm install --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps "$@"
}

# python_package NAME==VERSION MODULE FUNCTION installs a package of Python and what it
# needs, and makes a program of its module's function. A venv could not be moved.
python_package() {
  need python3 python3 && need pip3 python3-pip
  local program=${1%%==*}
  pip3 install --quiet --disable-pip-version-check --root-user-action=ignore --target "$PWD/site" "$1" || return
  printf '#!/bin/sh\nPYTHONPATH="%s/site" exec python3 -c "from %s import %s; %s()" "$@"\n' "$made" "$2" "$3" "$3" >"$program"
  chmod +x "$program"
}
