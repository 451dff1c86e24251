#!/bin/sh
# The time to the first token of one prompt at a time, in turns: one worker alone, and one prefiller and one decoder behind a
# proxy that starts the decode leg with an early ticket (the default) or after the prefill (--no-early-handoff).
#
#   scripts/compare-handoff.sh [--tokens 512,2048] [--rounds 5] [--kv-transport shm]
#
# XPYD is another binary than .build/release/xpyd. A round takes some seconds for each length.
set -eu
cd "$(dirname "$0")/.."
XPYD=${XPYD:-.build/release/xpyd}
[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
exec "${PYTHON:-python3}" scripts/compare_handoff.py --xpyd "$XPYD" "$@"
