#!/bin/sh
# Handoffs beside memcpy and beside a plain C program that moves as many bytes over as many streams; in turns.
#
#   scripts/compare-transfer.sh [ROUNDS]
#
# Prints the table of `xpyd bench transfer`, that of `xpyd bench follow`, and, for each number of streams, a line of
# Benchmarks/stream_copy.c. With NIXL (`make test` installs it) its table too, over what UCX chooses and over TCP, and its
# adapter beside the bare C API. XPYD names another binary than .build/release/xpyd.
set -eu
cd "$(dirname "$0")/.."
XPYD=${XPYD:-.build/release/xpyd}
ROUNDS=${1:-3}
TOOLS=.build/benchmarks
[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
mkdir -p "$TOOLS"
gcc -O2 -Wall -pthread Benchmarks/stream_copy.c -o "$TOOLS/stream_copy"

echo "Shared memory, beside memcpy:"
"$XPYD" bench transfer --transports shm --checksums never,always
echo "While the prompt is computed, and afterwards:"
"$XPYD" bench follow
if ls .build/python/.nixl_cu*.mesonpy.libs >/dev/null 2>&1; then
  echo "NIXL:"
  "$XPYD" bench transfer --transports nixl --checksums never --nixl-library .build/python
  echo "NIXL over TCP:"
  UCX_TLS=tcp,self "$XPYD" bench transfer --transports nixl --checksums never --nixl-library .build/python
fi
for round in $(seq "$ROUNDS"); do
  echo "Streams, round $round of $ROUNDS:"
  for streams in 1 2 4; do
    "$XPYD" bench transfer --transports tcp --checksums never,wire --sizes 16M,64M --streams $streams
    for bytes in 16777216 67108864; do "$TOOLS/stream_copy" tcp $streams $bytes 15; done
  done
done
