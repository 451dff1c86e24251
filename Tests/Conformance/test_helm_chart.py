"""The chart in `deploy/helm`, rendered by helm itself."""

import os
import re
import subprocess

import kubernetes_validate
import pytest
import yaml
from deployment import ROOT, XPYD

CHART = ROOT / "deploy" / "helm" / "xpyd"
SETTINGS = {
    "as it comes": [],
    "all that is off": ["proxy.adminKeySecret=admin", "proxy.otlpEndpoint=http://collector:4318",
                        "proxy.extraArgs={--decode-policy=least-loaded}", "imagePullSecrets[0].name=registry"],
    "placed": ["decoder.replicas=7", "decoder.nodeSelector.gpu=yes", "decoder.tolerations[0].operator=Exists",
               "decoder.extraArgs={--threads=4}", "decoder.image.tag=two"],
    "workers of vLLM's": ["prefiller.command={vllm}", "prefiller.args={serve,Qwen/Qwen3-0.6B}",
                          "prefiller.image.repository=vllm/vllm-openai"],
}


@pytest.fixture(scope="module")
def helm(tmp_path_factory):
    folder = os.environ.get("HELM_FOLDER") or str(tmp_path_factory.mktemp("helm"))
    subprocess.run([ROOT / "scripts" / "fetch-helm.sh", folder], check=True)

    def run(*arguments):
        done = subprocess.run([f"{folder}/helm", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module", params=SETTINGS, ids=SETTINGS)
def objects(request, helm):
    settings = [word for setting in SETTINGS[request.param] for word in ("--set", setting)]
    text = helm("template", "demo", str(CHART), "--namespace=serving", "--kube-version=1.34", *settings)
    return {(found["kind"], found["metadata"]["name"]): found for found in yaml.safe_load_all(text) if found}


def pods(objects):
    return {name: found["spec"]["template"] for (kind, name), found in objects.items() if kind == "Deployment"}


def test_helm_finds_no_fault(helm):
    helm("lint", "--strict", str(CHART))


def test_objects_follow_the_schemas_of_kubernetes(objects):
    for found in objects.values():
        kubernetes_validate.validate(found, "1.34", strict=True)


def test_the_binary_knows_the_flags(objects):
    for pod in pods(objects).values():
        (container,) = pod["spec"]["containers"]
        if "command" in container:
            continue
        command, *rest = container["args"]
        help_text = subprocess.run([XPYD, command, "--help"], capture_output=True, text=True, check=True).stdout
        for flag in (word.split("=")[0] for word in rest if word.startswith("--")):
            assert re.search(rf"{flag}\b", help_text), f"xpyd {command} has no {flag}"
        grace = next(int(word.split("=")[1]) for word in rest if word.startswith("--grace="))
        assert pod["spec"]["terminationGracePeriodSeconds"] > grace


def test_the_proxy_selects_each_role_s_service_and_no_other(objects):
    (container,) = pods(objects)["demo-proxy"]["spec"]["containers"]
    args = container["args"]
    for role, flag in [("prefiller", "--prefill-selector"), ("decoder", "--decode-selector")]:
        labels = dict(word.split("=") for word in args[args.index(flag) + 1:][:2])
        chosen = [name for (kind, name), found in objects.items()
                  if kind == "Service" and labels.items() <= found["metadata"]["labels"].items()]
        assert chosen == [f"demo-{role}"]
        service = objects["Service", f"demo-{role}"]
        assert service["spec"]["selector"].items() <= pods(objects)[f"demo-{role}"]["metadata"]["labels"].items()
        assert not service["spec"].get("publishNotReadyAddresses")
        assert [port["name"] for port in service["spec"]["ports"]] == ["http"]


def test_the_proxy_may_watch_endpointslices_and_nothing_else(objects):
    assert pods(objects)["demo-proxy"]["spec"]["serviceAccountName"] == "demo-proxy"
    binding, role = objects["RoleBinding", "demo-proxy"], objects["Role", "demo-proxy"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "demo-proxy", "namespace": "serving"}]
    assert role["rules"] == [
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}]
