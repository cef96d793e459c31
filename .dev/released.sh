#!/bin/sh
# Builds the last release into .tools, once, and prints the path of its program. The last release is
# the newest tag before this commit; without a tag, the commit that is given.
set -eu
cd "$(dirname "$0")/.."
release=$(git describe --tags --abbrev=0 2>/dev/null || echo "$1")
git cat-file -e "$release^{commit}" 2>/dev/null || {
  echo "the history of this checkout does not reach back to $release" >&2
  exit 1
}
commit=$(git rev-parse --short "$release^{commit}")
folder=$PWD/.tools/released-$commit
if [ ! -f "$folder/dist/cli.js" ]; then
  echo "released: building $release" >&2
  rm -rf "$folder"
  mkdir -p "$folder"
  git archive "$commit" | tar -x -C "$folder"
  ln -s "$PWD/node_modules" "$folder/node_modules"
  (cd "$folder" && PATH="$PWD/node_modules/.bin:$PATH" npm run --silent build) >"$folder/build.log" 2>&1 || {
    tail -n 1 "$folder/build.log" >&2
    rm -rf "$folder"
    exit 1
  }
fi
echo "$folder/dist/cli.js"
