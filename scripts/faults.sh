#!/bin/sh
# Breaks workers under load and counts what the clients lose: one row for each fault, as Markdown.
#
#   scripts/faults.sh [--requests 200] [--only mid-stream] [--json FILE]
#
# The workers are mock engines (Benchmarks/mock_engine.c), the proxy is .build/release/xpyd or XPYD.
set -eu
cd "$(dirname "$0")/.."

XPYD=${XPYD:-.build/release/xpyd}
TOOLS=.build/benchmarks
[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
mkdir -p "$TOOLS"
for tool in mock_engine loadgen; do
  [ "$TOOLS/$tool" -nt "Benchmarks/$tool.c" ] || ${CC:-gcc} -O2 -Wall -pthread -o "$TOOLS/$tool" "Benchmarks/$tool.c"
done
exec "${PYTHON:-python3}" scripts/faults.py --xpyd "$XPYD" --tools "$TOOLS" "$@"
