"""Workers are removed and added under a running deployment, with streams on them."""

import json
import threading
import urllib.error
import urllib.request

import pytest
from deployment import EXAMPLE_MODEL, Deployment, wait_until

KEY = "admin-key"


@pytest.fixture
def running(tmp_path, monkeypatch):
    monkeypatch.setenv("XPYD_ADMIN_KEY", KEY)
    deployment = Deployment("1p2d", tmp_path)
    yield deployment
    deployment.stop()


def administer(running, method, below="", body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{running.url}/admin/workers{below}", data=data, method=method)
    request.add_header("authorization", f"Bearer {KEY}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["workers"]


def named(running):
    return {worker["name"]: worker for worker in administer(running, "GET")}


def stream(running, tokens=300, started=None):
    """The text of a greedy answer, and the decoder that the proxy names behind it."""
    body = {"model": EXAMPLE_MODEL, "prompt": "The history of bread", "max_tokens": tokens, "temperature": 0,
            "ignore_eos": True, "stream": True}
    request = urllib.request.Request(f"{running.url}/v1/completions", data=json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    request.add_header("x-xpyd-timing", "1")
    text, decoder = "", None
    with urllib.request.urlopen(request, timeout=120) as answer:
        for line in answer:
            if line.startswith(b": x-xpyd-timing "):
                decoder = json.loads(line.split(b" ", 2)[2])["decoder"]
            elif line.startswith(b"data: {"):
                text += json.loads(line[6:])["choices"][0]["text"]
                if started:
                    started.set()
    return text, decoder


def test_streams_end_on_a_decoder_that_leaves_and_none_begins_there(running):
    whole, _ = stream(running)
    results, started = [], [threading.Event(), threading.Event()]
    threads = [threading.Thread(target=lambda e=event: results.append(stream(running, started=e))) for event in started]
    for thread, event in zip(threads, started):
        thread.start()
        assert event.wait(60)
    decoder = named(running)["decoder1"]
    (leaving,) = administer(running, "DELETE", f"/{decoder['address']}")
    assert leaving["fault"] == "leaving"
    for _ in range(3):
        assert stream(running, 8)[1] == "decoder2"
    for thread in threads:
        thread.join()
    assert {text for text, _ in results} == {whole}
    wait_until(lambda: "decoder1" not in named(running), "the decoder has left")

    (back,) = administer(running, "POST", body={"role": "decode", "address": decoder["address"]})
    assert back["name"] == "decoder1"
    wait_until(lambda: named(running)["decoder1"]["up"], "it is back")
    wait_until(lambda: stream(running, 8)[1] == "decoder1", "it gets requests")


def test_a_stream_on_a_decoder_that_must_go_at_once_goes_on_on_another(running):
    whole, _ = stream(running)
    results, started = [], threading.Event()
    thread = threading.Thread(target=lambda: results.append(stream(running, started=started)))
    thread.start()
    assert started.wait(60)
    (busy,) = [worker for worker in named(running).values() if worker["role"] == "decode" and worker["running"]]
    administer(running, "DELETE", f"/{busy['address']}?grace=0")
    thread.join()
    text, decoder = results[0]
    assert text == whole and decoder != busy["name"]


def test_a_prefiller_becomes_a_decoder_and_streams_go_on(running):
    whole, _ = stream(running)
    first = named(running)
    administer(running, "PATCH", f"/{first['decoder1']['address']}", {"role": "prefill"})
    wait_until(lambda: "decoder1" not in named(running), "its streams have ended")
    wait_until(lambda: named(running)["prefiller2"]["up"], "it prefills")
    administer(running, "PATCH", f"/{first['prefiller1']['address']}", {"role": "decode"})
    wait_until(lambda: "prefiller1" not in named(running), "nobody needs its KV")
    wait_until(lambda: named(running)["decoder1"]["up"], "it decodes")
    assert named(running)["decoder1"]["address"] == first["prefiller1"]["address"]
    answers = {}
    wait_until(lambda: answers.update([stream(running)[::-1]]) or len(answers) == 2, "both decoders have answered")
    assert set(answers.values()) == {whole}


def test_who_has_no_admin_key_changes_nothing(running):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{running.url}/admin/workers", timeout=60)
    assert refused.value.code == 401
