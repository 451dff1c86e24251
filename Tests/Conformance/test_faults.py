"""What happens to requests, processes and ports when something dies or is stopped."""

import concurrent.futures
import os
import re
import signal
import socket
import subprocess

import openai

from deployment import EXAMPLE_MODEL, XPYD, Deployment, is_alive, wait_until

PROMPTS = [f"Story number {i}: " + "the sea was calm and the boats were far away, " * (1 + i % 9) for i in range(32)]


def ask(url, prompt):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=120, max_retries=0)
    answer = client.completions.create(model=EXAMPLE_MODEL, prompt=prompt, max_tokens=16, temperature=0)
    return answer.choices[0].text


# Longer than a test: what was killed stays dead.
NO_RESTART = ["--restart-backoff", "3600"]


def free_blocks(running, port):
    return running.metric(port, "xpyd:kv_blocks_free")


def test_a_killed_prefiller_loses_no_request_and_leaks_no_block(tmp_path):
    running = Deployment("2p1d", tmp_path, NO_RESTART)
    decoder = running.decoder_ports[0]
    survivor = running.prefiller_ports[1]
    before = {port: free_blocks(running, port) for port in (decoder, survivor)}
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        futures = [pool.submit(ask, running.url, prompt) for prompt in PROMPTS]
        concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED)
        running.kill("prefiller1")
        answers = [future.result() for future in futures]
    expected = [ask(f"http://127.0.0.1:{decoder}", prompt) for prompt in PROMPTS]
    assert answers == expected
    for port, count in before.items():
        wait_until(lambda: free_blocks(running, port) == count, f"all blocks free on {port}")
    code, rest = running.stop()
    assert code == 0, rest


def test_a_decoder_killed_in_mid_stream_costs_no_client_a_word(tmp_path):
    running = Deployment("1p2d", tmp_path, NO_RESTART)
    client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", timeout=120, max_retries=0)

    def stream(prompt):
        return client.completions.create(
            model=EXAMPLE_MODEL, prompt=prompt, max_tokens=48, temperature=0, stream=True, extra_body={"ignore_eos": True}
        )

    def rest(begun):
        first, chunks = begun
        return first + "".join(chunk.choices[0].text for chunk in chunks)

    expected = ["".join(chunk.choices[0].text for chunk in stream(prompt)) for prompt in PROMPTS[:4]]
    begun = [(next(chunks).choices[0].text, chunks) for chunks in map(stream, PROMPTS[:4])]
    running.kill("decoder1")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(rest, begun)) == expected
    assert running.metric(running.port, 'xpyd:proxy_migrations_total{outcome="resumed"}') > 0
    code, answer = running.stop()
    assert code == 0, answer


def test_a_killed_decoder_is_a_clear_error_and_no_hang(tmp_path):
    running = Deployment("1p1d", tmp_path, NO_RESTART)
    prefiller = running.prefiller_ports[0]
    before = free_blocks(running, prefiller)
    running.kill("decoder")
    for _ in range(3):
        try:
            ask(running.url, "Hello")
            raise AssertionError("answered without a decoder")
        except openai.InternalServerError as error:
            assert error.status_code in (502, 503)
            assert "decoder" in str(error)
    wait_until(lambda: free_blocks(running, prefiller) == before, "all blocks free")
    code, rest = running.stop()
    assert code == 0, rest


def test_a_killed_worker_starts_again_and_serves(tmp_path):
    running = Deployment("1p1d", tmp_path, ["--restart-backoff", "0.1"])
    expected = ask(running.url, "Hello")
    running.kill("decoder")
    running.read_until("decoder is ready again")
    wait_until(lambda: running.is_ready(), "the proxy to see it")
    assert ask(running.url, "Hello") == expected
    code, rest = running.stop()
    assert code == 0, rest


def test_a_running_deployment_is_looked_over(tmp_path):
    running = Deployment("2p1d", tmp_path)
    for i in range(4):
        ask(running.url, f"Hello number {i}, and this is a prompt of some more words so that its KV is worth a transfer")
    top = subprocess.run([XPYD, "top", running.url, "--count", "1", "--interval", "0.1"], capture_output=True, text=True)
    rows = [line.split()[:2] for line in top.stdout.splitlines()[-3:]]
    assert rows == [["prefiller1", "up"], ["prefiller2", "up"], ["decoder1", "up"]], top.stdout + top.stderr
    doctor = subprocess.run(
        [XPYD, "doctor", "--url", running.url, "--interval", "0.1"], capture_output=True, text=True
    )
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert re.search(r"^ok +Bottleneck +none: nothing waits$", doctor.stdout, re.MULTILINE), doctor.stdout
    running.stop()


def test_ctrl_c_stops_everything_and_frees_the_ports(tmp_path):
    running = Deployment("1p1d", tmp_path)
    ports = [running.port, *running.prefiller_ports, *running.decoder_ports]
    assert ask(running.url, "Hello")
    code, rest = running.stop(signal.SIGINT)
    assert code == 0, rest
    assert "exit code 0" in rest
    assert not any(is_alive(pid) for pid in running.pids.values())
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    assert {path.name for path in tmp_path.iterdir()} == {"prefiller1.log", "decoder.log", "proxy.log"}


def test_a_killed_launcher_leaves_no_orphan(tmp_path):
    running = Deployment("1p1d", tmp_path)
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in running.pids.values()), "all children gone")


def test_the_ttft_block_is_in_the_proxys_log(tmp_path):
    running = Deployment("2p1d", tmp_path)
    for i in range(4):
        ask(running.url, f"Hello number {i}")
    wait_until(lambda: "Prefiller 2 TTFT stats:" in (tmp_path / "proxy.log").read_text(), "the block")
    block = (tmp_path / "proxy.log").read_text()
    assert "Num requests: " in block and " - 99th Percentile (ms): " in block
    running.stop()
