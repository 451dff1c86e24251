"""LiteLLM against proxy and decoder alone."""

import json

import pytest

import clients
from deployment import EXAMPLE_MODEL

CLIENT = """
import json, litellm, sys
url, model = sys.argv[1:]
request = dict(
    model=f"hosted_vllm/{model}", api_base=f"{url}/v1", api_key="none", max_tokens=40, temperature=0, num_retries=0,
    messages=[{"role": "user", "content": "Maria is 31 years old and lives in Lisbon. Describe her."}],
)
whole = litellm.completion(**request)
chunks = litellm.completion(**request, stream=True)
embedding = litellm.embedding(
    model=f"hosted_vllm/{model}", api_base=f"{url}/v1", api_key="none", input=["The sea", "The land"], encoding_format="float")
print(json.dumps({
    "whole": whole.choices[0].message.content, "usage": whole.usage.total_tokens,
    "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
    "embeddings": [item["embedding"] for item in embedding.data],
}))
"""


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    yield from clients.urls_of("litellm", tmp_path_factory.mktemp("logs"))


def test_litellm_completes_streams_and_embeds(urls):
    ours, alone = (
        json.loads(clients.run("litellm", "python", "-c", CLIENT, url, EXAMPLE_MODEL).splitlines()[-1])
        for url in urls
    )
    assert ours == alone
    assert ours["whole"] == ours["streamed"] != ""
    assert [len(vector) for vector in ours["embeddings"]] == [576, 576]
