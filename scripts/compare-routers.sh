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

. scripts/tools.sh
. scripts/routers.sh
install_routers "$@"

exec "$PYTHON" scripts/compare_routers.py --xpyd "$XPYD" --routers "$ROUTERS" --tools "$TOOLS" "$@"
