#!/bin/sh
# Checks the files of examples/deploy that the tests cannot check, because their tools take minutes
# to build: HCL's formatter, and Consul 1.14.11. Needs Go.
set -eu
cd "$(dirname "$0")/.."
hcl=v2.24.0
say() { echo "check-deploy: $*" >&2; }
command -v go >/dev/null || { say "Go is not installed"; exit 1; }

for file in examples/deploy/nomad/dpool.nomad.hcl examples/deploy/compose/consul.hcl; do
  go run github.com/hashicorp/hcl/v2/cmd/hclfmt@$hcl -check -require-no-change "$file" >/dev/null
  say "hclfmt takes $file"
done
consul=$(sh .dev/consul-newer.sh)
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
cp examples/deploy/compose/consul.hcl "$home"
echo "data_dir = \"$home/data\"" >"$home/data.hcl"
"$consul" validate "$home"
