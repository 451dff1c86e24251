#!/bin/sh
# Compares `xpyd proxy` with vllm-router, sglang-router and, if its script is at hand, LMCache's example proxy: in front of
# the same mock engines (2 prefillers, 2 decoders), in turns, with metrics, access log and health checks on.
#
#   scripts/compare-routers.sh [--quick] [--rounds 5] [--seconds 4] [--only xpyd,vllm-router] [--lmcache-proxy FILE]
#
# The peers come from PyPI into .build/routers. LMCache's proxy is examples/disagg_prefill/disagg_proxy_server.py of its
# repository, with `pip install fastapi uvicorn httpx numpy` for the Python that runs this; without --lmcache-proxy its column
# is left out. XPYD names another binary than .build/release/xpyd.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
XPYD=${XPYD:-.build/release/xpyd}
ROUTERS=${ROUTERS:-.build/routers}
TOOLS=.build/benchmarks

[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }

mkdir -p "$TOOLS" "$ROUTERS"
[ "$TOOLS/mock_engine" -nt Benchmarks/mock_engine.c ] ||
  gcc -O2 -Wall -pthread -o "$TOOLS/mock_engine" Benchmarks/mock_engine.c
[ "$TOOLS/loadgen" -nt Benchmarks/loadgen.c ] || gcc -O2 -Wall -o "$TOOLS/loadgen" Benchmarks/loadgen.c

install() {
  [ -e "$ROUTERS/$1-$2/installed" ] && return
  echo "Installing $1 $2 in $ROUTERS" >&2
  "$PYTHON" -m venv "$ROUTERS/$1-$2"
  "$ROUTERS/$1-$2/bin/pip" install --quiet --disable-pip-version-check "$1==$2"
  touch "$ROUTERS/$1-$2/installed"
}
install vllm-router 0.1.17
install sglang-router 0.3.2

exec "$PYTHON" scripts/compare_routers.py --xpyd "$XPYD" --routers "$ROUTERS" --tools "$TOOLS" "$@"
