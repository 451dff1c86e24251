"""What the proxy's binary promises beyond an answer: nothing left over, nothing smuggled, TLS."""

import json
import random
import socket
import ssl
import subprocess
import threading
import urllib.request

from deployment import EXAMPLE_MODEL, ROOT, XPYD, Deployment, free_ports, wait_until

CERTIFICATES = ROOT / "Tests" / "HTTPServerTests" / "Fixtures"


def run_script(*command):
    done = subprocess.run([ROOT / "scripts" / command[0], *command[1:]], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_mutated_request_or_answer_harms_the_proxy():
    run_script("fuzz.sh", "--requests", "1000", "--answers", "500", "--seed", "7")


def test_no_stream_is_lost_to_faults_and_nothing_is_left_over():
    run_script("soak.sh", "--seconds", "6", "--streams", "16", "--fault-every", "1", "--leavers", "200")


def test_clients_that_leave_at_random_moments_leave_no_block_behind(tmp_path):
    running = Deployment("1p1d", tmp_path)
    ports = [*running.prefiller_ports, *running.decoder_ports]

    def free():
        return [running.metric(port, "xpyd:kv_blocks_free") for port in ports]

    before = free()
    dice = random.Random(3)

    def leave(number, moment):
        prompt = f"Story number {number}: " + "the sea was calm, " * 20
        body = json.dumps({"model": EXAMPLE_MODEL, "prompt": prompt, "max_tokens": 16, "stream": True}).encode()
        with socket.create_connection(("127.0.0.1", running.port)) as client:
            client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            client.settimeout(moment)
            try:
                while client.recv(4096):
                    pass
            except TimeoutError:
                pass

    leavers = [threading.Thread(target=leave, args=(i, dice.uniform(0.001, 1))) for i in range(48)]
    for leaver in leavers:
        leaver.start()
    for leaver in leavers:
        leaver.join()
    wait_until(lambda: json.loads(running.get(running.port, "/load"))["server_load"] == 0, "no request runs")
    wait_until(lambda: free() == before, "all blocks are free")
    code, rest = running.stop()
    assert code == 0, rest


def test_a_stream_comes_over_tls_as_it_comes_without(tmp_path):
    running = Deployment("1p1d", tmp_path)
    port = free_ports(1)
    proxy = subprocess.Popen(
        [
            XPYD, "proxy", "--port", str(port), "--ssl-certfile", CERTIFICATES / "one.cert.pem",
            "--ssl-keyfile", CERTIFICATES / "one.key.pem", "--prefiller-port", str(running.prefiller_ports[0]),
            "--decoder-port", str(running.decoder_ports[0]), "--api-key", "secret", "--access-log", "/dev/null",
        ]  # fmt: skip
    )
    trusting = ssl.create_default_context(cafile=CERTIFICATES / "one.cert.pem")

    def ask(url, context=None):
        asked = {"model": EXAMPLE_MODEL, "prompt": "The sea was", "max_tokens": 12, "temperature": 0, "stream": True}
        headers = {"content-type": "application/json", "authorization": "Bearer secret"}
        request = urllib.request.Request(f"{url}/v1/completions", json.dumps(asked).encode(), headers)
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            events = [line[6:] for line in answer.read().decode().splitlines() if line.startswith("data: {")]
        return [json.loads(event)["choices"][0]["text"] for event in events]

    def is_up():
        try:
            with urllib.request.urlopen(f"https://localhost:{port}/ready", timeout=5, context=trusting):
                return True
        except OSError:
            return False

    try:
        wait_until(is_up, "the proxy answers over TLS")
        assert ask(f"https://localhost:{port}", trusting) == ask(running.url)
    finally:
        proxy.kill()
        proxy.wait()
        running.stop()
