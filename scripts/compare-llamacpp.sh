#!/bin/sh
# Compares `xpyd bench engine` with llama.cpp's own benchmarks: same model file, same threads, in turns.
#
#   scripts/compare-llamacpp.sh [MODEL.gguf] [--quick] [--activations int16,int8] [--rounds 5] [--tests pp512,tg64x8@1024]
#     [--threads 2,1] [--one-thread pp512] [--formats Q8_0,F16,Q4_0,Q4_K_M] [--random-1b Q4_0,Q8_0]
#
# One mode takes about 7 minutes on a quiet machine, --quick 2. PYTHON is the interpreter, XPYD another binary than
# .build/release/xpyd; llamacpp.sh says how llama.cpp is built.
set -eu
cd "$(dirname "$0")/.."
XPYD=${XPYD:-.build/release/xpyd}
[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
. scripts/llamacpp.sh
build_llamacpp llama-bench llama-batched-bench llama-quantize
exec "${PYTHON:-python3}" scripts/compare_llamacpp.py --xpyd "$XPYD" --llama-bin "$LLAMA_BIN" "$@"
