"""LiteLLM against proxy and decoder alone. Its wheel is larger than all other clients together, so that it is asked only where it is
installed: `pip install litellm`."""

import pytest

from deployment import EXAMPLE_MODEL, Deployment

litellm = pytest.importorskip("litellm")

QUESTION = "Maria is 31 years old and lives in Lisbon. Describe her."


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    running = Deployment("1p1d", tmp_path_factory.mktemp("logs"))
    yield [f"http://127.0.0.1:{port}" for port in (running.port, running.decoder_ports[0])]
    code, rest = running.stop()
    assert code == 0, rest


def test_litellm_completes_and_streams(urls):
    request = dict(
        model=f"hosted_vllm/{EXAMPLE_MODEL}",
        api_key="none",
        messages=[{"role": "user", "content": QUESTION}],
        max_tokens=40,
        temperature=0,
        num_retries=0,
    )
    texts = [litellm.completion(api_base=f"{url}/v1", **request).choices[0].message.content for url in urls]
    assert texts[0] == texts[1] != ""
    chunks = litellm.completion(api_base=f"{urls[0]}/v1", stream=True, **request)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == texts[0]
