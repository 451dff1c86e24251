# To be sourced by scripts that drive the proxy, in the repository's root: sets XPYD and TOOLS, builds the mock engine, the
# load generator and the bare relay into TOOLS, and fails if there is no proxy.
XPYD=${XPYD:-.build/release/xpyd}
TOOLS=.build/benchmarks
[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
mkdir -p "$TOOLS"
for tool in mock_engine loadgen relay; do
  [ "$TOOLS/$tool" -nt "Benchmarks/$tool.c" ] || ${CC:-gcc} -O2 -Wall -pthread -o "$TOOLS/$tool" "Benchmarks/$tool.c"
done
