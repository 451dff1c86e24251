#!/bin/sh
# Compares `xpyd proxy` with vllm-router, sglang-router and, if its script is at hand, LMCache's example proxy: in front of
# the same mock engines (2 prefillers, 2 decoders), in turns, with metrics, access log and health checks on.
#
#   scripts/compare-routers.sh [--quick] [--rounds 5] [--seconds 4] [--only xpyd,vllm-router] [--lmcache-proxy FILE]
#
# The peers come from PyPI into .build/routers. LMCache's proxy comes with its repository only: FILE is
# examples/disagg_prefill/xp1d/disagg_proxy_server_first_token_from_decoder.py of it, which knows one decoder; without
# --lmcache-proxy its column is left out. XPYD names another binary than .build/release/xpyd.
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

# install FOLDER PACKAGE...
install() {
  folder=$ROUTERS/$1
  shift
  [ -e "$folder/installed" ] && return
  echo "Installing $* in $folder" >&2
  "$PYTHON" -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
  touch "$folder/installed"
}
install vllm-router-0.1.17 vllm-router==0.1.17
install sglang-router-0.3.2 sglang-router==0.3.2
case "$*" in *--lmcache-proxy*) install lmcache fastapi uvicorn httpx numpy ;; esac

exec "$PYTHON" scripts/compare_routers.py --xpyd "$XPYD" --routers "$ROUTERS" --tools "$TOOLS" "$@"
