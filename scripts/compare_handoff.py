"""Measures the time to the first token of a worker alone and of 1p1d, with and without early tickets. See compare-handoff.sh."""

import argparse
import http.client
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

DEFAULT_MODEL = pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "xpyd/models/smollm2-135m-instruct.gguf")
DEADLINE = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that serves on a port."""

    def __init__(self, command, port):
        self.port = port
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([str(part) for part in command], stdout=self.log, stderr=self.log)

    def is_healthy(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).status == 200
        except OSError:
            return False

    def wait(self):
        until = time.monotonic() + DEADLINE
        while not self.is_healthy():
            if self.process.poll() is not None or time.monotonic() > until:
                self.log.seek(0)
                sys.exit(f"{' '.join(self.process.args)}: does not serve\n{self.log.read()[-2000:]}")
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def first_token(port, prompt):
    """Seconds until the first event of a streamed answer."""
    body = {"model": "m", "prompt": prompt, "max_tokens": 2, "temperature": 0, "stream": True, "ignore_eos": True}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    start = time.monotonic()
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    line = answer.readline()
    elapsed = time.monotonic() - start
    assert answer.status == 200 and line.startswith(b"data: {"), (answer.status, line)
    answer.read()
    connection.close()
    return elapsed


def start(options):
    """The processes by the names of their columns, and the others."""

    def worker(*more):
        port = free_port()
        return Server(
            [options.xpyd, "serve", options.model, "--port", port, "--served-model-name", "m", "--max-model-len", "4096",
             "--disable-log-requests", *more], port)

    def role(name):
        settings = json.dumps({"kv_connector": "NixlConnector", "kv_role": name})
        return worker("--kv-transfer-config", settings, "--kv-transport", options.kv_transport)

    def proxy(*more):
        port = free_port()
        return Server(
            [options.xpyd, "proxy", "--port", port, "--prefiller-port", prefiller.port, "--decoder-port", decoder.port,
             "--handoff", "nixl", *more], port)

    alone, prefiller, decoder = worker(), role("kv_producer"), role("kv_consumer")
    columns = {"one worker": alone, "1p1d": proxy(), "1p1d, --no-early-handoff": proxy("--no-early-handoff")}
    for server in [*columns.values(), prefiller, decoder]:
        server.wait()
    return columns, [prefiller, decoder]


def measure(columns, tokens, rounds, dice):
    """Seconds by column. No prompt comes twice; each round has another order."""
    times = {name: [] for name in columns}
    for number in range(rounds + 1):
        order = list(columns)
        dice.shuffle(order)
        for name in order:
            prompt = [dice.randrange(20, 49000) for _ in range(tokens)]
            elapsed = first_token(columns[name].port, prompt)
            if number:
                times[name].append(elapsed)
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--xpyd", required=True)
    parser.add_argument("--model", default=str(DEFAULT_MODEL))
    parser.add_argument("--tokens", default="512,2048")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kv-transport", default="shm")
    options = parser.parse_args()
    columns, others = start(options)
    dice = random.Random(1)
    print(f"First token, ms: median (min–max) of {options.rounds}, KV over {options.kv_transport}.\n")
    print("| tokens | " + " | ".join(columns) + " |\n|" + "---:|" * (1 + len(columns)))
    try:
        for tokens in map(int, options.tokens.split(",")):
            times = measure(columns, tokens, options.rounds, dice)
            base = statistics.median(times["one worker"])
            cells = []
            for name, seconds in times.items():
                middle = statistics.median(seconds)
                more = "" if name == "one worker" else f", {100 * (middle / base - 1):+.1f} %"
                cells.append(f"{middle * 1e3:.1f} ({min(seconds) * 1e3:.1f}–{max(seconds) * 1e3:.1f}){more}")
            print(f"| {tokens} | " + " | ".join(cells) + " |", flush=True)
    finally:
        for server in [*columns.values(), *others]:
            server.stop()


if __name__ == "__main__":
    main()
