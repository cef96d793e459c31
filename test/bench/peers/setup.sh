#!/bin/sh
# Installs the peers of the benchmarks into the folder $1, without touching the system. Each peer
# that cannot be installed leaves a line `NAME: REASON` in the file `missing` there.
set -u
folder=$1
mkdir -p "$folder/packages" "$folder/npm"
cd "$folder" || exit 1
: > missing

npm_packages="bullmq@6 ioredis@6 piscina@5 tinypool@2"
if [ "$(cat npm/installed 2>/dev/null)" != "$npm_packages" ]; then
  echo '{"private": true}' > npm/package.json
  # No install scripts: the only one compiles a faster codec, which BullMQ does without.
  if (cd npm && npm install --ignore-scripts --no-fund --no-audit --loglevel=error $npm_packages) >&2; then
    echo "$npm_packages" > npm/installed
  else
    for peer in BullMQ piscina tinypool; do
      echo "$peer: npm could not install its packages" >> missing
    done
  fi
fi

# From Debian, unpacked here. The simulated installation names what the system lacks.
unpack() {
  package=$1
  [ -e "packages/$package.done" ] && return 0
  command -v apt-get >/dev/null || { reason="this is not Debian"; return 1; }
  reason="apt-get could not download $package"
  wanted=$(apt-get install -s --no-install-recommends "$package" 2>/dev/null |
    awk '$1 == "Inst" { print $2 }')
  [ -n "$wanted" ] || return 1
  (cd packages && apt-get -qq -o APT::Sandbox::User=root download $wanted) >&2 || return 1
  for each in packages/*.deb; do dpkg -x "$each" . || return 1; done
  rm -f packages/*.deb
  touch "packages/$package.done"
}
needs() {
  peer=$1 program=$2 package=$3
  command -v "$program" >/dev/null && return 0
  unpack "$package" || echo "$peer: $reason" >> missing
}
needs BullMQ redis-server redis-server
needs gearmand gearmand gearman-job-server
needs Elixir elixir elixir
# Debian's scripts name their place in the system.
for erl in usr/lib/erlang/bin/erl usr/lib/erlang/erts-*/bin/erl; do
  [ -f "$erl" ] && sed -i "s#ROOTDIR=/usr/lib/erlang\$#ROOTDIR=$folder/usr/lib/erlang#" "$erl"
done
exit 0
