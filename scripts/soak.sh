#!/bin/sh
# Keeps streams running while workers break one after the other, then lets clients leave at random moments, and says what
# was lost and what was left over. Fails if anything was.
#
#   scripts/soak.sh [--seconds 600] [--streams 256] [--fault-every 5] [--leavers 10000] [--seed 1]
#
# The workers are mock engines (Benchmarks/mock_engine.c), the proxy is .build/release/xpyd or XPYD. Either part is left
# out with 0.
set -eu
cd "$(dirname "$0")/.."

XPYD=${XPYD:-.build/release/xpyd}
TOOLS=.build/benchmarks
[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
mkdir -p "$TOOLS"
for tool in mock_engine loadgen; do
  [ "$TOOLS/$tool" -nt "Benchmarks/$tool.c" ] || ${CC:-gcc} -O2 -Wall -pthread -o "$TOOLS/$tool" "Benchmarks/$tool.c"
done
exec "${PYTHON:-python3}" scripts/soak.py --xpyd "$XPYD" --tools "$TOOLS" "$@"
