#!/bin/sh
# Installs missing programs and builds. `run`: for a member. `test`: also for the tests. A script
# that may not install a program says in one line what to install.
set -eu
cd "$(dirname "$0")/.."
purpose=${1:-run}

installed=node_modules/.package-lock.json
if [ ! -e node_modules/@distributed-pool/sdk ] || [ ! -f $installed ] || [ package-lock.json -nt $installed ]; then
  echo "setup: installing npm packages, once: this takes a minute or more" >&2
  # Not `npm ci`, which requires every platform's optional packages in the lock file. A registry
  # without them cannot give such a file.
  npm install --no-save --no-fund --no-audit --loglevel=error >&2
  touch $installed
fi
PATH="$PWD/node_modules/.bin:$PATH"

sudo=
if [ "$(id -u)" != 0 ]; then sudo="sudo -n"; fi
can_install() { command -v apt-get >/dev/null && { [ -z "$sudo" ] || $sudo true 2>/dev/null; }; }

missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
if [ "$(uname -s)" = Linux ]; then
  need bwrap bubblewrap; need prlimit util-linux; need setpriv util-linux; need mkfifo coreutils
fi
if [ "$purpose" = test ]; then
  for program in ffmpeg curl busybox openssl perl; do need $program $program; done
  need chromium chromium; need faketime faketime
  need git git; need javac default-jdk-headless; need mvn maven
  if [ "$(uname -s)" = Linux ]; then need ip iproute2; need tc iproute2; need musl-gcc musl-tools; fi
  need systemd-analyze systemd; need less less; need vim.tiny vim-tiny; need top procps; need zsh zsh; need fish fish
  [ -x /usr/bin/python3 ] || missing="$missing python3"
  python3 -c "import ensurepip, venv" 2>/dev/null || missing="$missing python3-venv"
fi
if [ -n "$missing" ]; then
  if can_install; then
    echo "setup: installing$missing" >&2
    $sudo apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive \
      $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
  elif [ "$purpose" = test ]; then
    echo "setup: not installed, and no root or sudo to install it:$missing" >&2
    echo "setup: the tests that need it are skipped" >&2
  else
    echo "setup: please install$missing, then run this again" >&2
    echo "setup: on Debian or Ubuntu: apt-get install$missing" >&2
    exit 1
  fi
fi

# from_debian SUITE FOLDER PACKAGE...: unpacks packages of a suite into a folder, without touching
# the system.
from_debian() {
  suite=$1 folder=$2
  shift 2
  key=/usr/share/keyrings/debian-archive-keyring.gpg
  if ! command -v apt-get >/dev/null || [ ! -f "$key" ]; then
    echo "setup: this is not Debian: please install $1" >&2
    echo "setup: the tests that need it are skipped" >&2
    return 1
  fi
  echo "setup: unpacking $1 into $folder" >&2
  # The mirror of this machine's own package sources.
  mirror=$(apt-get indextargets --format '$(SITE)' | grep -m1 '/debian/\{0,1\}$')
  apt_home=$PWD/.tools/apt
  mkdir -p "$folder" "$apt_home/lists/partial" "$apt_home/packages"
  echo "deb [signed-by=$key] $mirror $suite main" > "$apt_home/suite.list"
  apt="apt-get -qq -o Dir::Etc::SourceList=$apt_home/suite.list"
  apt="$apt -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$apt_home/lists"
  apt="$apt -o APT::Sandbox::User=root"
  (cd "$apt_home/packages" && $apt update && $apt download "$@") >&2 &&
    for each in "$apt_home"/packages/*.deb; do dpkg -x "$each" "$folder"; done
  rm -rf "$apt_home"
}

# Consul comes from PATH, else from Debian's bullseye suite.
if [ "$purpose" = test ] && ! command -v consul >/dev/null 2>&1 && [ ! -x .tools/usr/bin/consul ]; then
  from_debian bullseye .tools consul || true
fi

# Reverse proxies of the tests, from Debian, unpacked here without touching the system.
proxies=.tools/proxies
if [ "$purpose" = test ] && [ ! -x $proxies/usr/bin/caddy ] && command -v apt-get >/dev/null; then
  echo "setup: unpacking nginx, haproxy and caddy into $proxies" >&2
  mkdir -p $proxies/packages
  if (cd $proxies/packages && apt-get -qq -o APT::Sandbox::User=root download \
    nginx haproxy caddy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 && for each in *.deb; do dpkg -x "$each" ..; done) >&2; then
    rm -rf $proxies/packages
  else
    rm -rf $proxies
    echo "setup: the tests that need the proxies are skipped" >&2
  fi
fi

# The linter of Docker Compose files is Compose itself. Debian has it from trixie on.
compose=.tools/compose
if [ "$purpose" = test ] && [ ! -x $compose/usr/libexec/docker/cli-plugins/docker-compose ]; then
  from_debian trixie $compose docker-compose || rm -rf $compose
fi

# Prometheus and promtool, in the same way.
monitoring=.tools/monitoring
if [ "$purpose" = test ] && [ ! -x $monitoring/usr/bin/promtool ] && command -v apt-get >/dev/null; then
  echo "setup: unpacking prometheus into $monitoring" >&2
  mkdir -p $monitoring/packages
  if (cd $monitoring/packages && apt-get -qq -o APT::Sandbox::User=root download prometheus &&
    dpkg -x prometheus*.deb ..) >&2; then
    rm -rf $monitoring/packages
  else
    rm -rf $monitoring
    echo "setup: the tests that need Prometheus are skipped" >&2
  fi
fi

# An OpenTelemetry Collector, from the Go module proxy: 735 packages, without optimising them.
collector=.tools/otel-collector
if [ "$purpose" = test ] && command -v go >/dev/null && ! cmp -s .dev/otel-collector/go.sum $collector/go.sum; then
  echo "setup: building an OpenTelemetry Collector into $collector" >&2
  rm -rf $collector
  mkdir -p $collector
  if (cd .dev/otel-collector && GOFLAGS=-mod=mod CGO_ENABLED=0 go build -gcflags='all=-N -l' \
    -ldflags='-s -w' -o ../../$collector/otelcol . 2>../../$collector/build.log); then
    cp .dev/otel-collector/go.sum $collector/go.sum
  else
    tail -n 1 $collector/build.log >&2
    echo "setup: the tests that need the collector are skipped" >&2
  fi
fi

# The Python programs of the tests, and those of the Python SDK, each in an environment.
environment() {
  wanted=$1 python=$2
  if [ "$purpose" = test ] && ! cmp -s "$wanted" "$python/installed.txt"; then
    echo "setup: installing Python packages into $python" >&2
    rm -rf "$python"
    if python3 -m venv "$python" && "$python/bin/pip" install -q -r "$wanted" >&2; then
      cp "$wanted" "$python/installed.txt"
    else
      rm -rf "$python"
      echo "setup: the Python packages of $wanted cannot be installed" >&2
      echo "setup: the tests that need them are skipped" >&2
    fi
  fi
}
environment .dev/requirements.txt .tools/python
environment .dev/requirements-sdk.txt .tools/sdk-python
environment .dev/requirements-deploy.txt .tools/deploy

# Python 3.9, the oldest that the Python SDK supports, with the packages that the SDK needs.
old=.tools/python3.9
wanted=.dev/requirements-3.9.txt
if [ "$purpose" = test ] && [ -x .tools/sdk-python/bin/pip ] && ! cmp -s $wanted $old/installed.txt; then
  rm -rf $old
  if from_debian bullseye $old python3.9-minimal libpython3.9-minimal libpython3.9-stdlib libssl1.1 \
    libffi7 libmpdec3 && .tools/sdk-python/bin/pip install -q --target $old/packages --no-deps \
    --python-version 3.9 --only-binary=:all: -r $wanted >&2; then
    # A link to a file of /etc, which is not there.
    rm -f $old/usr/lib/python3.9/sitecustomize.py
    cp $wanted $old/installed.txt
  else
    rm -rf $old
    echo "setup: the tests that need Python 3.9 are skipped" >&2
  fi
fi

sources="openapi server sdk/typescript package.json tsconfig.json"
newest=$(find $sources -newer dist/cli.js -type f 2>/dev/null | head -n 1 || true)
for built in dist/docs/swagger-ui.css dist/dashboard/lib/preact.mjs dist/cli.js dist/index.d.ts sdk/typescript/dist/index.js; do
  [ -f $built ] || newest=$built
done
# The process of an `npm start` that runs from dist, where there is one: a build would break it.
for file in dist/running/*; do
  pid=${file##*/}
  if [ -n "$newest" ] && [ -f "$file" ] && kill -0 "$pid" 2>/dev/null &&
    { [ ! -d /proc/self ] || [ "$(readlink "/proc/$pid/cwd")" = "$PWD" ]; }; then
    echo "setup: npm start, process $pid, runs from dist, which is older than $newest" >&2
    if [ "$purpose" = test ]; then
      echo "setup: stop it first, so that dist can be built" >&2
      exit 1
    fi
    echo "setup: not building; stop it and start again to run the newer sources" >&2
    newest=
  fi
done
if [ -n "$newest" ]; then
  echo "setup: building" >&2
  log=/tmp/distributed-pool-build.$$
  trap 'rm -f "$log"' EXIT
  npm run --silent build >$log 2>&1 || { cat $log >&2; exit 1; }
fi
