#!/usr/bin/env bash
# Counts, under QEMU, the instructions of one call of a kernel in plain C and in NEON, and prints a table: one panel of 16
# outputs by 512 inputs of Q4_1, 64 slots of 64 halves, rows of 512. Needs what scripts/test-neon.sh needs, which it runs,
# and gcc.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/test-neon.sh clang >&2
out=.build/instruction-sets
counts=Tests/InstructionSets/counts
gcc -shared -fPIC -O2 -Wall -Wextra -o $out/plugin.so $counts/plugin.c
aarch64-linux-gnu-gcc -static -O2 -Wall -Wextra -ISources/CKernels/include -o $out/work $counts/work.c \
  $(ls $out/clang/*.o | grep -vE '/(compare|products|integers|rows|attention)\.o$') -lm

# instructions PROCESSOR TABLE NAME TIMES
instructions() { qemu-aarch64 -cpu "$1" -plugin $out/plugin.so $out/work "${@:2}" 2>&1; }

# a_call PROCESSOR TABLE NAME
a_call() { echo $((($(instructions "$@" 10) - $(instructions "$@" 0)) / 10)); }

echo '| instructions of a call | plain C | NEON | without dot products |'
echo '|---|---|---|---|'
qemu-aarch64 $out/work | while read -r name; do
  echo "| $name | $(a_call max plain "$name") | $(a_call max neon "$name") | $(a_call cortex-a72 neon "$name") |"
done
