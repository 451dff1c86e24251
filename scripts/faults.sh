#!/bin/sh
# Breaks workers under load and counts what the clients lose: one row for each fault, as Markdown.
#
#   scripts/faults.sh [--requests 200] [--only mid-stream] [--json FILE] [--peers] [--lmcache-proxy FILE]
#
# The workers are mock engines (Benchmarks/mock_engine.c), the proxy is .build/release/xpyd or XPYD. With --peers,
# vllm-router and sglang-router stand in front of the same workers as well, and LMCache's proxy if FILE is given; see
# compare-routers.sh.
set -eu
cd "$(dirname "$0")/.."

. scripts/tools.sh
. scripts/routers.sh
case "$*" in *--peers*) install_routers "$@" ;; esac
exec "$PYTHON" scripts/faults.py --xpyd "$XPYD" --tools "$TOOLS" --routers "$ROUTERS" "$@"
