"""Outputs of a form, calls of tools, and scores of prompts, through the official client: proxy and decoder alone answer the same."""

import json
from typing import Literal, Optional

import openai
import pydantic
import pytest

from deployment import EXAMPLE_MODEL, Deployment

MESSAGES = [{"role": "user", "content": "Maria is 31 years old and lives in Lisbon. Describe her."}]


class Address(pydantic.BaseModel):
    city: str = pydantic.Field(max_length=20)
    country: Optional[Literal["Portugal", "Spain"]]


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=20)
    age: int = pydantic.Field(ge=0, le=120)
    tags: list[Literal["young", "old"]] = pydantic.Field(max_length=3)
    address: Address


class GetWeather(pydantic.BaseModel):
    """The weather of a city."""

    city: str = pydantic.Field(max_length=20)
    unit: Literal["celsius", "fahrenheit"]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    running = Deployment(
        "1p1d",
        tmp_path_factory.mktemp("logs"),
        worker_arguments=("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
    )
    yield running
    code, rest = running.stop()
    assert code == 0, rest


@pytest.fixture(scope="module")
def clients(deployment):
    ports = (deployment.port, deployment.decoder_ports[0])
    urls = (f"http://127.0.0.1:{port}/v1" for port in ports)
    return [openai.OpenAI(base_url=url, api_key="none", timeout=120, max_retries=0) for url in urls]


def test_an_answer_is_parsed_into_the_clients_own_type(clients):
    answers = [
        client.chat.completions.parse(
            model=EXAMPLE_MODEL, messages=MESSAGES, response_format=Person, max_tokens=200, temperature=0
        )
        for client in clients
    ]
    people = [answer.choices[0].message.parsed for answer in answers]
    assert isinstance(people[0], Person) and people[0] == people[1]
    assert answers[0].choices[0].finish_reason == "stop"


def test_a_json_object_is_one(clients):
    for client in clients:
        answer = client.chat.completions.create(
            model=EXAMPLE_MODEL,
            messages=MESSAGES,
            response_format={"type": "json_object"},
            max_tokens=300,
            seed=1,
            temperature=0.7,
        )
        if answer.choices[0].finish_reason == "stop":
            assert isinstance(json.loads(answer.choices[0].message.content), dict)


def test_a_tool_that_must_be_called_is_called_with_its_arguments(clients):
    tool = openai.pydantic_function_tool(GetWeather)
    named = {"type": "function", "function": {"name": "GetWeather"}}
    for choice in ("required", named):
        request = dict(
            model=EXAMPLE_MODEL,
            messages=[{"role": "user", "content": "How warm is it in Paris?"}],
            tools=[tool],
            tool_choice=choice,
            parallel_tool_calls=False,
            max_tokens=200,
            temperature=0,
        )
        calls = [client.chat.completions.parse(**request).choices[0].message.tool_calls for client in clients]
        assert [len(each) for each in calls] == [1, 1]
        assert isinstance(calls[0][0].function.parsed_arguments, GetWeather)
        assert calls[0][0].function.arguments == calls[1][0].function.arguments
        with clients[0].chat.completions.stream(**request) as stream:
            deltas = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
            whole = stream.get_final_completion().choices[0].message.tool_calls
        assert len(deltas) > 1
        assert whole[0].function.arguments == calls[0][0].function.arguments


def test_a_model_that_calls_nothing_answers_in_text(clients):
    answer = clients[0].chat.completions.create(
        model=EXAMPLE_MODEL,
        messages=MESSAGES,
        tools=[openai.pydantic_function_tool(GetWeather)],
        max_tokens=8,
        temperature=0,
    )
    assert answer.choices[0].message.content and not answer.choices[0].message.tool_calls


def test_a_continuations_loglikelihood_is_the_single_workers_to_the_last_digit(clients):
    """What lm-eval's local-completions sends for a loglikelihood, in one request of several prompts and alone."""
    texts = ["The capital of France is Paris.", "The sea was calm, and the boats were far away."]
    request = dict(model=EXAMPLE_MODEL, max_tokens=1, temperature=0, logprobs=1, echo=True, seed=1234)
    batches = [client.completions.create(prompt=texts, **request) for client in clients]
    scores = [[choice.logprobs.token_logprobs for choice in batch.choices] for batch in batches]
    assert scores[0] == scores[1]
    for text, score in zip(texts, scores[0]):
        alone = clients[0].completions.create(prompt=text, **request)
        assert alone.choices[0].logprobs.token_logprobs == score
        assert score[0] is None and sum(score[1:-1]) < 0
        assert alone.choices[0].text.startswith(text)


def test_what_is_not_served_is_named(clients):
    schema = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    for client in clients:
        with pytest.raises(openai.BadRequestError) as caught:
            client.completions.create(
                model=EXAMPLE_MODEL, prompt="Hi", extra_body={"structured_outputs": {"json": schema}}
            )
        assert "uniqueItems" in str(caught.value)
        with pytest.raises(openai.BadRequestError) as caught:
            client.completions.create(model=EXAMPLE_MODEL, prompt="Hi", suffix="there")
        assert "suffix" in str(caught.value)


def test_embeddings_are_the_same_numbers_in_every_form_and_from_everywhere(clients):
    texts = ["The sea is calm.", "The sea is rough.", "A table of logarithms"]
    answers = [client.embeddings.create(model=EXAMPLE_MODEL, input=texts) for client in clients]
    vectors = [[item.embedding for item in answer.data] for answer in answers]
    assert vectors[0] == vectors[1] and [len(vector) for vector in vectors[0]] == [576] * 3
    assert answers[0].usage == answers[1].usage and answers[0].usage.total_tokens == answers[0].usage.prompt_tokens > 9
    plain = clients[0].embeddings.create(model=EXAMPLE_MODEL, input=texts, encoding_format="float")
    assert [item.embedding for item in plain.data] == vectors[0]

    def closeness(a, b):
        return sum(x * y for x, y in zip(vectors[0][a], vectors[0][b]))

    assert abs(closeness(0, 0) - 1) < 1e-5
    assert closeness(0, 1) > closeness(0, 2)
