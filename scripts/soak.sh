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

. scripts/tools.sh
exec "${PYTHON:-python3}" scripts/soak.py --xpyd "$XPYD" --tools "$TOOLS" "$@"
