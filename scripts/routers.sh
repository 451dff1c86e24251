# To be sourced by scripts that compare the proxy with other routers: sets PYTHON and ROUTERS, and `install_routers "$@"`
# installs them from PyPI into ROUTERS. LMCache's proxy comes with its repository only; what it needs is installed if the
# arguments name it with --lmcache-proxy.
PYTHON=${PYTHON:-python3}
ROUTERS=${ROUTERS:-.build/routers}

# install FOLDER PACKAGE...
install() {
  folder=$ROUTERS/$1
  shift
  [ -e "$folder/installed" ] && return
  echo "Installing $* in $folder" >&2
  mkdir -p "$ROUTERS"
  "$PYTHON" -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
  touch "$folder/installed"
}

install_routers() {
  install vllm-router-0.1.17 vllm-router==0.1.17
  install sglang-router-0.3.2 sglang-router==0.3.2
  case "$*" in *--lmcache-proxy*) install lmcache fastapi uvicorn httpx numpy ;; esac
}
