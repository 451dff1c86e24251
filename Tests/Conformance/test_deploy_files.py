"""What `deploy/` says of metrics is what a deployment has."""

import re
import subprocess

import kubernetes_validate
import pytest
import yaml
from deployment import ROOT, XPYD, Deployment

FILES = ["grafana/xpyd.json", "prometheus/alerts.yml"]

@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    running = Deployment("1p1d", tmp_path_factory.mktemp("deploy"))
    names = set()
    for port in [running.port, *running.prefiller_ports, *running.decoder_ports]:
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", running.get(port, "/metrics"), re.MULTILINE):
            names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    running.stop()
    return names


@pytest.mark.parametrize("file", FILES)
def test_every_metric_that_is_named_exists(file, metrics):
    named = set(re.findall(r"\b(?:xpyd|vllm):[a-z0-9_]+|\bprocess_[a-z_]+", (ROOT / "deploy" / file).read_text()))
    assert len(named) > 8
    assert named - metrics == set()


MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))


def objects():
    files = [path for path in MANIFESTS if path.name != "kustomization.yaml"]
    return [found for path in files for found in yaml.safe_load_all(path.read_text())]


def test_manifests_follow_the_schemas_of_kubernetes():
    for found in objects():
        kubernetes_validate.validate(found, "1.34", strict=True)


def test_every_manifest_is_applied():
    kustomization = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text())
    assert {path.name for path in MANIFESTS} == {*kustomization["resources"], "kustomization.yaml"}


def test_the_binary_knows_the_flags_of_the_manifests():
    pods = [found["spec"]["template"]["spec"] for found in objects() if "template" in found.get("spec", {})]
    assert len(pods) == 3
    for pod in pods:
        (container,) = pod["containers"]
        command, *rest = container["args"]
        help_text = subprocess.run([XPYD, command, "--help"], capture_output=True, text=True, check=True).stdout
        for flag in (word.split("=")[0] for word in rest if word.startswith("--")):
            assert re.search(rf"{flag}\b", help_text), f"xpyd {command} has no {flag}"
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert f"--port={ports['http']}" in rest
        grace = next(int(word.split("=")[1]) for word in rest if word.startswith("--grace="))
        assert pod["terminationGracePeriodSeconds"] > grace


def test_the_proxy_names_every_worker():
    by_name = {(found["kind"], found["metadata"]["name"]): found for found in objects()}
    (proxy,) = by_name["Deployment", "proxy"]["spec"]["template"]["spec"]["containers"]
    for role in ("prefiller", "decoder"):
        replicas = by_name["StatefulSet", role]["spec"]["replicas"]
        hosts = ",".join(f"{role}-{i}.{role}" for i in range(replicas))
        assert f"--{role}-host={hosts}" in proxy["args"]
        assert f"--num-{role}s={replicas}" in proxy["args"]
