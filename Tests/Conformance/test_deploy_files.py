"""What `deploy/` says of metrics is what a deployment has."""

import re

import pytest
from deployment import ROOT, Deployment

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
