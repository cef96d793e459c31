#!/bin/sh
# Builds Consul 1.14.11, of the last line under the MPL, from the Go module proxy into .tools, once.
# Takes 11 minutes on an idle machine. Prints the program's path. DPOOL_TEST_CONSUL=PATH uses it.
set -eu
cd "$(dirname "$0")/.."
version=v1.14.11
folder=$PWD/.tools/consul-$version
program=$folder/consul
if [ ! -x "$program" ]; then
  command -v go >/dev/null || { echo "consul-newer: Go is not installed" >&2; exit 1; }
  echo "consul-newer: building $version; this takes minutes" >&2
  module=$(go mod download -json github.com/hashicorp/consul@$version |
    sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  rm -rf "$folder"
  mkdir -p "$folder"
  trap 'rm -rf "$folder/source"' EXIT
  cp -R "$module" "$folder/source"
  chmod -R u+w "$folder/source"
  cd "$folder/source"
  # The replacements name folders that the module's archive does not contain.
  sed -i '/^replace (/,/^)/d; /^replace /d' go.mod
  GOFLAGS=-mod=mod CGO_ENABLED=0 nice -n 19 go build -p 1 -o ../consul.part . >&2
  mv ../consul.part "$program"
fi
echo "$program"
