#!/usr/bin/env bash
# Re-lock every requirement file from pyproject.toml, with hashes and without index addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() { uv pip compile pyproject.toml --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -q "$@"; }
# The widest set first; the narrower ones are cut from it, so that one version of a library serves everywhere.
lock --extra platform --extra demo --extra test -o requirements/dev.txt
lock --extra platform --extra demo -c requirements/dev.txt -o requirements/platform.txt
lock -c requirements/dev.txt -o requirements/gateway.txt
printf 'hatchling>=1.27\neditables>=0.5\n' | uv pip compile - --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -q -o requirements/build.txt
