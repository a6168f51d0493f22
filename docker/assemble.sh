#!/bin/sh
# assemble.sh OUT, in the root of a clone with its dependencies: makes what an image runs. The built packages in the folders of their
# workspaces, with the dependencies of the lock file and no others.
set -eu
out=$1

# each COMMAND: COMMAND PACKAGE FOLDER for every package and the folder of its workspace.
each() {
  for package in dist/packages/*; do
    name=$(basename "$package")
    for folder in "libs/$name" "services/$name" "connectors/$name" "$name"; do
      if [ -f "$folder/package.json" ]; then "$1" "$package" "$folder"; fi
    done
  done
}

# What the lock file was made from.
manifest() { mkdir -p "$out/$2" && cp "$2/package.json" "$out/$2"; }
code() { cp -r "$1/." "$out/$2"; }

npm run --silent build
mkdir -p "$out/plugins"
cp package.json package-lock.json "$out"
each manifest
(cd "$out" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund)
each code
# An image has its Node.js: the one that npm brings is left out.
rm -rf "$out"/node_modules/node-linux-* "$out"/package-lock.json
