#!/usr/bin/env bash
# Holds the kernels' NEON functions to plain C, bit by bit, on a machine without an ARM processor. Builds
# Tests/InstructionSets with warnings as errors and runs it on this machine, and under QEMU as a processor with and without
# dot products of bytes. All must print the same line: one checksum, so the same bits, on every processor.
#
#   scripts/test-neon.sh [clang] [gcc]    the compilers for AArch64; both where none is named
#
# Needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user, and installs what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
out=.build/instruction-sets
arm=/usr/aarch64-linux-gnu
clang=${CLANG:-$(command -v clang || echo "$(dirname "$(command -v swift)")/clang")}
[ $# != 0 ] || set -- clang gcc

if ! { command -v aarch64-linux-gnu-gcc && command -v qemu-aarch64; } >/dev/null; then
  apt-get update -q && apt-get install -y -q --no-install-recommends \
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
fi

compile() {
  mkdir -p "$out/$1"
  for source in Sources/CKernels/*.c Tests/InstructionSets/*.c; do
    "${@:2}" -O3 -Wall -Wextra -Werror -ISources/CKernels/include -c "$source" -o "$out/$1/$(basename "$source" .c).o"
  done
}

build() {
  case $1 in
  native) compile native "$clang" ;;
  clang) compile clang "$clang" --target=aarch64-linux-gnu --sysroot=$arm -isystem $arm/include ;;
  # It knows neither the pragma that forbids to fuse multiply-adds nor clang's about loops.
  gcc) compile gcc aarch64-linux-gnu-gcc -ffp-contract=off -Wno-unknown-pragmas ;;
  *) echo "clang or gcc, not $1" >&2; return 2 ;;
  esac
  local link=(aarch64-linux-gnu-gcc -static)
  [ "$1" != native ] || link=("$clang")
  "${link[@]}" $out/"$1"/*.o -lm -o $out/compare-"$1"
}

builds=()
for compiler in native "$@"; do
  (set -e; build "$compiler") &
  builds+=($!)
done
for job in "${builds[@]}"; do wait "$job"; done

run() {
  echo "$*"
  timeout 300 "$@" | tee -a $out/results
}
: >$out/results
run $out/compare-native
for compiler in "$@"; do
  for processor in max cortex-a72; do run qemu-aarch64 -cpu $processor $out/compare-"$compiler"; done
done
if [ "$(sort -u $out/results | wc -l)" != 1 ]; then
  echo "The results differ between processors or compilers." >&2
  exit 1
fi
