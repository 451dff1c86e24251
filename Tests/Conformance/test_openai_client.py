"""The official OpenAI client against proxy, prefillers and decoder, and against the decoder alone."""

import openai
import pytest

from deployment import EXAMPLE_MODEL, Deployment

STORY = "Once upon a time, in a small village by the sea, there lived an old fisherman. " * 12


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    running = Deployment("2p1d", tmp_path_factory.mktemp("logs"))
    yield running
    code, rest = running.stop()
    assert code == 0, rest


@pytest.fixture(scope="module")
def client(deployment):
    return openai.OpenAI(base_url=f"{deployment.url}/v1", api_key="none", timeout=120, max_retries=0)


@pytest.fixture(scope="module")
def decoder(deployment):
    url = f"http://127.0.0.1:{deployment.decoder_ports[0]}/v1"
    return openai.OpenAI(base_url=url, api_key="none", timeout=120, max_retries=0)


def test_the_examples_request_is_answered(client):
    answer = client.completions.create(
        model=EXAMPLE_MODEL, prompt="The future of AI is", max_tokens=50, temperature=0.7
    )
    assert answer.choices[0].text
    assert answer.usage.completion_tokens <= 50
    assert answer.usage.prompt_tokens == 5
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_the_answer_is_the_single_workers(client, decoder):
    for prompt in ["Hi", "The capital of France is", STORY, STORY * 3]:
        request = dict(model=EXAMPLE_MODEL, prompt=prompt, max_tokens=24)
        for sampling in [dict(temperature=0), dict(temperature=0.9, top_p=0.95, seed=7)]:
            ours = client.completions.create(**request, **sampling)
            alone = decoder.completions.create(**request, **sampling)
            assert ours.choices[0].text == alone.choices[0].text
            assert ours.usage == alone.usage


def test_a_stream_is_the_same_text_with_one_usage_at_the_end(client):
    request = dict(model=EXAMPLE_MODEL, prompt=STORY, max_tokens=24, temperature=0)
    whole = client.completions.create(**request)
    chunks = list(client.completions.create(**request, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert [c.usage for c in chunks if c.usage] == [whole.usage]
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason


def test_chat_streamed_and_not(client, decoder):
    request = dict(
        model=EXAMPLE_MODEL,
        messages=[
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What is the capital of France?"},
        ],
        max_tokens=16,
        temperature=0,
    )
    whole = client.chat.completions.create(**request)
    assert "Paris" in whole.choices[0].message.content
    chunks = list(client.chat.completions.create(**request, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole.choices[0].message.content
    alone = decoder.chat.completions.create(**request)
    assert alone.choices[0].message == whole.choices[0].message


def test_the_decoder_computes_nothing_that_it_received(deployment, client):
    name = "vllm:prompt_tokens_by_source_total"
    port = deployment.decoder_ports[0]

    def by_source():
        lines = [line for line in deployment.get(port, "/metrics").splitlines() if line.startswith(name)]
        return {line.split('source="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1]) for line in lines}

    before = by_source()
    answer = client.completions.create(
        model=EXAMPLE_MODEL, prompt="Never seen before: " + STORY[::-1], max_tokens=4, temperature=0
    )
    after = by_source()
    grown = {source: after[source] - before[source] for source in after}
    # The last prompt token gives the first logits; its keys and values are not received.
    assert grown == {
        "local_compute": 1,
        "local_cache_hit": 0,
        "local_offload_hit": 0,
        "external_kv_transfer": answer.usage.prompt_tokens - 1,
    }


def test_errors_are_openais(client):
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="no-such-model", prompt="Hi", max_tokens=1)
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=EXAMPLE_MODEL, prompt="word " * 9000, max_tokens=1)
    assert "8192" in str(caught.value) and "9001" in str(caught.value)
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model=EXAMPLE_MODEL, prompt="Hi", max_tokens=1, temperature=-1)


def test_models_lists_the_served_name(client):
    assert EXAMPLE_MODEL in [model.id for model in client.models.list()]
