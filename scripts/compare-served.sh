#!/bin/sh
# Serves the reference model and measures it through HTTP, with `xpyd bench serve` as the client:
#
#   scripts/compare-served.sh peer    one `xpyd serve` beside llama.cpp's llama-server: start to first token, 16 requests of
#                                     512 + 64 tokens at concurrency 4, memory after 4 × 2,048 tokens
#   scripts/compare-served.sh disagg  one prefiller and one decoder with a processor each beside one aggregated worker with
#                                     both: what running streams notice of prompts of 1,900 tokens, and the prompts' TTFT
#
# Options: [--rounds 3] [--activations int8]. XPYD is another binary than .build/release/xpyd; llamacpp.sh says how llama.cpp is
# built. About a minute a round.
set -eu
cd "$(dirname "$0")/.."
XPYD=${XPYD:-.build/release/xpyd}
[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
. scripts/llamacpp.sh
[ "${1:-}" != peer ] || build_llamacpp llama-server
exec "${PYTHON:-python3}" scripts/compare_served.py --xpyd "$XPYD" --llama-server "$LLAMA_BIN/llama-server" "$@"
