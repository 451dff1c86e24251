"""OpenAI's responses, Anthropic's SDK, LangChain and instructor, each against proxy and decoder alone."""

from typing import Literal

import anthropic
import instructor
import langchain_openai
import openai
import pydantic
import pytest

from deployment import EXAMPLE_MODEL, Deployment

QUESTION = "Maria is 31 years old and lives in Lisbon. Describe her."
STORY = "Once upon a time, in a small village by the sea, there lived an old fisherman. " * 12


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=20)
    age: int = pydantic.Field(ge=0, le=120)
    mood: Literal["happy", "sad"]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    running = Deployment("1p1d", tmp_path_factory.mktemp("logs"))
    yield running
    code, rest = running.stop()
    assert code == 0, rest


@pytest.fixture(scope="module")
def urls(deployment):
    return [f"http://127.0.0.1:{port}" for port in (deployment.port, deployment.decoder_ports[0])]


@pytest.fixture(scope="module")
def clients(urls):
    return [openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=120, max_retries=0) for url in urls]


@pytest.fixture(scope="module")
def anthropic_clients(urls):
    return [anthropic.Anthropic(base_url=url, api_key="none", timeout=120, max_retries=0) for url in urls]


def test_responses_are_parsed_streamed_and_whole(deployment, clients):
    handoffs = deployment.metric(deployment.prefiller_ports[0], "xpyd:handoffs_total")
    request = dict(model=EXAMPLE_MODEL, input=STORY, instructions="Go on.", max_output_tokens=24, temperature=0)
    answers = [client.responses.create(**request) for client in clients]
    assert answers[0].output_text == answers[1].output_text != ""
    assert answers[0].usage == answers[1].usage and answers[0].usage.output_tokens <= 24
    events = list(clients[0].responses.create(**request, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    final = events[-1].response
    assert events[-1].type == f"response.{final.status}"
    assert "".join(deltas) == final.output_text == answers[0].output_text
    assert final.status == answers[0].status and final.usage == answers[0].usage
    assert deployment.metric(deployment.prefiller_ports[0], "xpyd:handoffs_total") == handoffs + 2


def test_a_response_is_parsed_into_the_clients_own_type(clients):
    answers = [
        client.responses.parse(
            model=EXAMPLE_MODEL, input=QUESTION, text_format=Person, max_output_tokens=200, temperature=0
        )
        for client in clients
    ]
    assert isinstance(answers[0].output_parsed, Person) and answers[0].output_parsed == answers[1].output_parsed
    request = dict(model=EXAMPLE_MODEL, input=QUESTION, text_format=Person, max_output_tokens=200, temperature=0)
    with clients[0].responses.stream(**request) as stream:
        assert stream.get_final_response().output_parsed == answers[0].output_parsed


def test_a_response_calls_a_tool_and_takes_what_it_answered(clients):
    tool = openai.pydantic_function_tool(Person)["function"] | {"type": "function"}
    request = dict(model=EXAMPLE_MODEL, max_output_tokens=200, temperature=0)
    made = clients[0].responses.create(input=QUESTION, tools=[tool], tool_choice="required", **request)
    call = made.output[0]
    assert call.type == "function_call" and Person.model_validate_json(call.arguments)
    said = [{"role": "user", "content": QUESTION}, call.model_dump(exclude={"status"})]
    said.append({"type": "function_call_output", "call_id": call.call_id, "output": "noted"})
    assert clients[0].responses.create(input=said, **request).output_text


def test_what_a_response_cannot_be_is_named(clients):
    for client in clients:
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=EXAMPLE_MODEL, input="Hi", previous_response_id="resp_1")
        assert "previous_response_id" in str(caught.value)


def test_messages_are_answered_streamed_and_whole(anthropic_clients):
    request = dict(
        model=EXAMPLE_MODEL,
        system="Be short.",
        messages=[{"role": "user", "content": STORY}],
        max_tokens=24,
        extra_body={"temperature": 0},
    )
    answers = [client.messages.create(**request) for client in anthropic_clients]
    assert answers[0].content == answers[1].content and answers[0].content[0].text
    assert answers[0].usage == answers[1].usage and answers[0].stop_reason == answers[1].stop_reason
    with anthropic_clients[0].messages.stream(**request) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == answers[0].content[0].text
    assert final.stop_reason == answers[0].stop_reason
    assert final.usage.output_tokens == answers[0].usage.output_tokens
    first = text[5]
    cut = anthropic_clients[0].messages.create(**request, stop_sequences=[first])
    assert cut.stop_reason == "stop_sequence" and cut.stop_sequence == first


def test_a_message_uses_a_tool(anthropic_clients):
    tool = {"name": "person", "description": "Notes a person.", "input_schema": Person.model_json_schema()}
    request = dict(
        model=EXAMPLE_MODEL,
        messages=[{"role": "user", "content": QUESTION}],
        tools=[tool],
        tool_choice={"type": "tool", "name": "person"},
        max_tokens=200,
        extra_body={"temperature": 0},
    )
    uses = [client.messages.create(**request) for client in anthropic_clients]
    assert uses[0].stop_reason == "tool_use" and uses[0].content[0].input == uses[1].content[0].input
    assert Person.model_validate(uses[0].content[0].input)
    with anthropic_clients[0].messages.stream(**request) as stream:
        assert stream.get_final_message().content[0].input == uses[0].content[0].input
    turns = request["messages"] + [
        {"role": "assistant", "content": [uses[0].content[0].model_dump(include={"type", "id", "name", "input"})]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": uses[0].content[0].id, "content": "ok"}]},
    ]
    request.update(messages=turns, tool_choice={"type": "none"})
    assert anthropic_clients[0].messages.create(**request).content


def test_what_a_message_cannot_be_is_anthropics_error(anthropic_clients):
    for client in anthropic_clients:
        with pytest.raises(anthropic.BadRequestError) as caught:
            client.messages.create(
                model=EXAMPLE_MODEL,
                messages=[{"role": "user", "content": "Hi"}],
                max_tokens=2000,
                thinking={"type": "enabled", "budget_tokens": 1024},
            )
        assert "thinking" in str(caught.value)


def test_langchain_chats_streams_and_structures(urls):
    chats = [
        langchain_openai.ChatOpenAI(
            base_url=f"{url}/v1", api_key="none", model=EXAMPLE_MODEL, temperature=0, max_tokens=100, max_retries=0
        )
        for url in urls
    ]
    answers = [chat.invoke(QUESTION) for chat in chats]
    assert answers[0].content == answers[1].content != ""
    assert answers[0].usage_metadata == answers[1].usage_metadata
    assert "".join(chunk.content for chunk in chats[0].stream(QUESTION)) == answers[0].content
    people = [chat.with_structured_output(Person, method="json_schema").invoke(QUESTION) for chat in chats]
    assert isinstance(people[0], Person) and people[0] == people[1]
    named = chats[0].with_structured_output(Person, method="function_calling").invoke(QUESTION)
    assert isinstance(named, Person)


def test_instructor_gets_a_person(clients):
    for mode in (instructor.Mode.JSON_SCHEMA, instructor.Mode.TOOLS):
        people = [
            instructor.from_openai(client, mode=mode).create(
                model=EXAMPLE_MODEL,
                messages=[{"role": "user", "content": QUESTION}],
                response_model=Person,
                max_tokens=200,
                temperature=0,
                max_retries=0,
            )
            for client in clients
        ]
        # Beside its fields, each bears the answer that it came in.
        assert isinstance(people[0], Person) and people[0].model_dump() == people[1].model_dump()
