"""NVIDIA's AIPerf against proxy and decoder alone: streamed chats, every request served to its last token."""

import json

import pytest

import clients
from deployment import EXAMPLE_MODEL


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    yield from clients.urls_of("aiperf", tmp_path_factory.mktemp("logs"))


def test_aiperf_profiles(urls, tmp_path):
    for number, url in enumerate(urls):
        folder = tmp_path / str(number)
        clients.run(
            "aiperf", "aiperf", "profile", "--model", EXAMPLE_MODEL, "--url", url, "--endpoint-type", "chat", "--streaming",
            "--extra-inputs", "ignore_eos:true", "--tokenizer", clients.TOKENIZER, "--no-gpu-telemetry", "--no-server-metrics",
            "--ui", "none", "--artifact-dir", folder, "--synthetic-input-tokens-mean", "64", "--output-tokens-mean", "12",
            "--use-server-token-count", "--request-count", "16", "--concurrency", "4", "--random-seed", "3",
        )  # fmt: skip
        (path,) = folder.rglob("profile_export_aiperf.json")
        result = json.loads(path.read_text())
        assert result["request_count"]["avg"] == 16 and not result.get("error_request_count")
        assert result["total_output_tokens"]["avg"] == 16 * 12
