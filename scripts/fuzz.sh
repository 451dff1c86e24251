#!/bin/sh
# Sends mutated requests to the proxy and has it read mutated answers of workers; a recording worker and a strict client
# check what comes out on the other side. Fails if the proxy ends, hangs, passes on what is no request of its own making,
# mixes answers up or sends a client what is no HTTP.
#
#   scripts/fuzz.sh [--requests 100000] [--answers 100000] [--seed 1]
#
# The proxy is .build/release/xpyd or XPYD. A case is made from the seed and its number alone.
set -eu
cd "$(dirname "$0")/.."

XPYD=${XPYD:-.build/release/xpyd}
[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
exec "${PYTHON:-python3}" scripts/fuzz.py --xpyd "$XPYD" "$@"
