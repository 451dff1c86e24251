"""guidellm against proxy and decoder alone: completions, chats and responses, every request served to its last token."""

import json

import pytest

import clients
from deployment import EXAMPLE_MODEL


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    yield from clients.urls_of("guidellm", tmp_path_factory.mktemp("logs"))


@pytest.mark.parametrize("endpoint", ["/v1/completions", "/v1/chat/completions", "/v1/responses"])
def test_guidellm_runs(urls, tmp_path, endpoint):
    for number, url in enumerate(urls):
        path = tmp_path / f"{number}.json"
        clients.run(
            "guidellm", "guidellm", "run", "--disable-console",
            "--backend", f"kind=openai_http,target={url},model={EXAMPLE_MODEL},request_format={endpoint}",
            "--profile", "kind=concurrent,streams=4", "--constraint", "kind=max_requests,count=16",
            "--data", "kind=synthetic_text,prompt_tokens=64,output_tokens=12",
            "--tokenizer", f"kind=huggingface_auto,model={clients.TOKENIZER}", "--output", f"kind=json,path={path}",
        )  # fmt: skip
        (benchmark,) = json.loads(path.read_text())["benchmarks"]
        requests = benchmark["requests"]
        assert len(requests["successful"]) == 16 and not requests["errored"] and not requests["incomplete"]
        assert {request["output_metrics"]["text_tokens"] for request in requests["successful"]} == {12}
