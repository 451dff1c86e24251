"""Drives `xpyd up --engine vllm` through what the example's user does; see with-vllm.sh."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

NAME = "smollm2-135m-instruct"
START = 1500  # seconds
# What keeps several servers of vLLM on few cores and little memory: the launcher passes its environment on.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0", "VLLM_HOST_IP": "127.0.0.1",
    "UCX_NET_DEVICES": "lo",
}  # fmt: skip
ARGUMENTS = ["--dtype", "float32", "--max-model-len", "2048", "--max-num-seqs", "16"]


class Deployment:
    def __init__(self, options):
        self.port, self.logs = options.port, pathlib.Path(options.logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        command = [
            options.xpyd, "up", options.topology, "--engine", "vllm", "--vllm", options.vllm, "--model", options.model,
            "--served-model-name", NAME, "--gpus", "none", "--log-dir", options.logs, "--port", str(options.port),
            "--prefiller-port", str(options.port + 10), "--decoder-port", str(options.port + 20),
            "--side-channel-port", str(options.port + 30), "--ready-timeout", str(START), "--grace", "30",
            "--stagger", str(options.stagger), "--restart-backoff", "600", "--", *ARGUMENTS,
        ]  # fmt: skip
        print("$ " + " ".join(command), file=sys.stderr)
        path = os.path.dirname(options.vllm) + os.pathsep + os.environ["PATH"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **ENVIRONMENT, "PATH": path},
        )  # fmt: skip
        self.pids = {}

    def wait_until_up(self):
        for line in self.process.stdout:
            print(line, end="", file=sys.stderr, flush=True)
            if started := re.match(r"starting (\S+) (?:again )?on port \d+ \(pid (\d+),", line):
                self.pids[started[1]] = int(started[2])
            if "Press Ctrl-C to stop." in line:
                return
        raise SystemExit("xpyd up ended before it was up")

    def open(self, path, body, timeout=300):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode() if body else None,
            {"Content-Type": "application/json"},
        )  # fmt: skip
        return urllib.request.urlopen(request, timeout=timeout)

    def ask(self, path, body):
        with self.open(path, body) as answer:
            return json.load(answer)

    def stats(self):
        return self.ask("/stats", None)


def curl(running):
    body = {"model": NAME, "prompt": "The future of AI is", "max_tokens": 50, "temperature": 0.7}
    command = [
        "curl", "-sS", "-X", "POST", f"http://localhost:{running.port}/v1/completions",
        "-H", "Content-Type: application/json", "-d", json.dumps(body),
    ]  # fmt: skip
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)
    return answer["usage"]["completion_tokens"] == 50, f"{answer['usage']['completion_tokens']} tokens"


def chat(running):
    body = {
        "model": NAME, "messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 24,
        "temperature": 0,
    }  # fmt: skip
    text = running.ask("/v1/chat/completions", body)["choices"][0]["message"]["content"]
    return "Paris" in text, json.dumps(text)


def stream(running):
    body = {"model": NAME, "prompt": "Once upon a time", "max_tokens": 24, "temperature": 0, "stream": True}
    with running.open("/v1/completions", body) as answer:
        events = [line[6:].strip() for line in answer if line.startswith(b"data: ")]
    whole = running.ask("/v1/completions", {**body, "stream": False})["choices"][0]["text"]
    streamed = "".join(json.loads(event)["choices"][0]["text"] for event in events[:-1])
    same = "as the whole answer" if streamed == whole else f"other than the whole answer: {whole!r}"
    return events[-1] == b"[DONE]" and streamed == whole, f"{len(events) - 1} events and [DONE], text {same}"


def prompt(i):
    return f"Story number {i}: " + "the sea was calm and the boats were far away, " * (2 + i % 7)


def story(running, i):
    body = {"model": NAME, "prompt": prompt(i), "max_tokens": 16, "temperature": 0}
    return running.ask("/v1/completions", body)["choices"][0]["text"]


def requests(running):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda i: story(running, i), range(32)))
    counts = [worker["ttft_ms"]["count"] for worker in running.stats()["prefillers"]]
    return all(texts) and all(counts), f"32 answered; per prefiller since the start: {', '.join(map(str, counts))}"


def handed_over(running):
    """Tokens that the decoder did not compute, by its own count."""
    with running.open("/workers/decoder1/metrics", None) as answer:
        text = answer.read().decode()
    sources = dict(re.findall(r'^vllm:prompt_tokens_by_source_total\{[^}]*source="([^"]+)"\S* (\S+)', text, re.M))
    external = float(sources.get("external_kv_transfer", 0))
    return external > 0, ", ".join(f"{source}: {float(count):.0f}" for source, count in sources.items())


def killed_prefiller(running):
    before = [story(running, i) for i in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(story, running, i % 8) for i in range(32)]
        concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED)
        os.killpg(running.pids["prefiller1"], signal.SIGKILL)
        answers, lost = [], []
        for future in futures:
            try:
                answers.append(future.result())
            except (OSError, urllib.error.HTTPError) as error:
                lost.append(str(error))
    same = sum(answer == before[i % 8] for i, answer in enumerate(answers)) if not lost else 0
    return not lost, f"{len(answers)} of 32 answered, {same} with the text as before{': ' + lost[0] if lost else ''}"


def ttft_block(running):
    time.sleep(6)
    log = (running.logs / "proxy.log").read_text()
    blocks = re.findall(r"={10,}\nNum requests: .*?={10,}", log, re.S)
    found = bool(blocks) and "Prefiller 2 TTFT stats:" in blocks[-1]
    return found, "`proxy.log` has it for both prefillers" if found else "not in `proxy.log`"


def stopped(running):
    names = set(path.name for path in running.logs.glob("*.log"))
    running.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    rest, _ = running.process.communicate(timeout=300)
    print(rest, end="", file=sys.stderr)
    left = [pid for pid in running.pids.values() if os.path.exists(f"/proc/{pid}")]
    good = running.process.returncode == 0 and not left and {"prefiller1.log", "decoder.log", "proxy.log"} <= names
    logs = ", ".join(sorted(names))
    return good, f"exit code {running.process.returncode} in {time.monotonic() - began:.0f} s, {len(left)} left; {logs}"


STEPS = [
    ("the example's curl", curl), ("chat, temperature 0", chat), ("stream, temperature 0", stream),
    ("32 requests, 8 at a time", requests), ("where the decoder's prompt tokens came from", handed_over),
    ("32 requests, a prefiller killed among them", killed_prefiller), ("TTFT block per prefiller", ttft_block),
    ("Ctrl-C", stopped),
]  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    for name in ("xpyd", "vllm", "model", "logs"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--topology", default="2p1d")
    parser.add_argument("--port", type=int, default=18300)
    parser.add_argument("--stagger", type=float, default=5)
    parser.add_argument("--only-setup", action="store_true")
    options = parser.parse_args()
    if options.only_setup:
        return 0
    began = time.monotonic()
    running = Deployment(options)
    rows = []
    try:
        running.wait_until_up()
        rows.append((f"`xpyd up {options.topology} --engine vllm`", True, f"ready after {time.monotonic() - began:.0f} s"))
        for name, step in STEPS:
            started = time.monotonic()
            try:
                good, what = step(running)
            except Exception as error:  # noqa: BLE001: a row that fails is a result
                good, what = False, f"{type(error).__name__}: {error}"
            rows.append((name, good, f"{what} ({time.monotonic() - started:.1f} s)"))
            print(rows[-1], file=sys.stderr, flush=True)
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
            running.process.communicate(timeout=300)
    print("| step | | result |\n|---|---|---|")
    for name, good, what in rows:
        print(f"| {name} | {'ok' if good else '**failed**'} | {what} |")
    return 0 if all(good for _, good, _ in rows) else 1


sys.exit(main())
