"""`vllm bench serve` against proxy and decoder alone: completions and chats, every request served."""

import json

import pytest

import clients
from deployment import EXAMPLE_MODEL, ROOT


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    yield from clients.urls_of("vllm-bench", tmp_path_factory.mktemp("logs"))


def test_vllm_bench_serves(urls):
    runs = []
    for backend, endpoint in [("openai", "/v1/completions"), ("openai-chat", "/v1/chat/completions")]:
        for url in urls:
            runs.append([
                "--backend", backend, "--endpoint", endpoint, "--base-url", url, "--model", EXAMPLE_MODEL,
                "--tokenizer", str(clients.TOKENIZER), "--dataset-name", "random", "--random-input-len", "64",
                "--random-output-len", "12", "--num-prompts", "16", "--max-concurrency", "4", "--ignore-eos", "--disable-tqdm",
                "--seed", "3", "--temperature", "0",
            ])  # fmt: skip
    said = clients.run(
        "vllm-bench", "python", ROOT / "scripts" / "vllm_client.py", given="".join(json.dumps(run) + "\n" for run in runs)
    )
    results = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert len(results) == len(runs)
    for result in results:
        assert result["completed"] == 16 and result["total_output_tokens"] == 16 * 12
        assert result["mean_ttft_ms"] > 0 and result["mean_tpot_ms"] > 0
    for ours, alone in zip(results[::2], results[1::2]):
        assert ours["total_input_tokens"] == alone["total_input_tokens"]
