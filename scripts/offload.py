#!/usr/bin/env python3
"""Time to the first token of one prompt: computed, from memory, and from disk after a restart, in one run.

    scripts/offload.py [--tokens 1900] [--rounds 5] [--threads 2] [--port 8300]

Starts a worker whose pool holds one context, so that each prompt evicts the one before. Every round has a prompt of its own,
which is asked for three times: cold; after another prompt has evicted it; and, evicted again, of a worker that has just started.
Prints medians in ms with their range, and fails if an answer differs or did not come from where it should. XPYD names another
binary than .build/release/xpyd, MODEL another model.
"""

import argparse
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
XPYD = os.environ.get("XPYD", str(ROOT / ".build/release/xpyd"))
MODEL = os.environ.get("MODEL", "smollm2-135m-instruct")


class Worker:
    def __init__(self, arguments, flags):
        self.url = f"http://127.0.0.1:{arguments.port}"
        self.process = subprocess.Popen(
            [XPYD, "serve", MODEL, "--port", str(arguments.port), "--max-model-len", "2048", "--num-kv-blocks", "128"]
            + ["--threads", str(arguments.threads), "--max-num-batched-tokens", "512", "--log-level", "warning", *flags])
        for _ in range(600):
            try:
                return urllib.request.urlopen(self.url + "/health", timeout=5).close()
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"the worker ended with {self.process.returncode}")
                time.sleep(0.1)
        sys.exit("the worker does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def ask(self, prompt):
        """Returns the time to the first token in ms, and the tokens' text."""
        body = {"model": MODEL, "prompt": prompt, "max_tokens": 8, "temperature": 0, "stream": True, "ignore_eos": True}
        request = urllib.request.Request(
            self.url + "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
        started, first, text = time.monotonic(), None, ""
        with urllib.request.urlopen(request, timeout=300) as answer:
            for line in answer:
                if line.startswith(b"data: {"):
                    first = first or time.monotonic()
                    text += json.loads(line[6:])["choices"][0]["text"]
        return (first - started) * 1000, text

    def loaded(self, tier):
        with urllib.request.urlopen(self.url + "/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.search(rf'^xpyd:kv_offload_loaded_bytes_total{{.*tier="{tier}"}} (\S+)$', text, re.MULTILINE)
        return float(found.group(1))


def prompts(arguments):
    dice = random.Random(7)
    return [[dice.randrange(20, 49_000) for _ in range(arguments.tokens)] for _ in range(arguments.rounds + 1)]


def measure(arguments, folder):
    flags = ["--kv-offloading-size", "1", "--kv-offloading-disk", folder, "--kv-offloading-disk-size", "2"]
    *asked, other = prompts(arguments)
    times = {"computed": [], "memory": [], "disk": []}
    worker = Worker(arguments, flags)
    texts = []
    for prompt in asked:
        took, text = worker.ask(prompt)
        times["computed"].append(took)
        texts.append(text)
    worker.ask(other)
    for prompt, text in zip(asked, texts):
        before = worker.loaded("memory")
        took, again = worker.ask(prompt)
        times["memory"].append(took)
        if again != text or worker.loaded("memory") == before:
            sys.exit("memory: another answer, or not from there")
    worker.stop()
    worker = Worker(arguments, flags)
    for prompt, text in zip(asked, texts):
        before = worker.loaded("disk")
        took, again = worker.ask(prompt)
        times["disk"].append(took)
        if again != text or worker.loaded("disk") == before:
            sys.exit("disk: another answer, or not from there")
    worker.stop()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1900)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--port", type=int, default=8300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = measure(arguments, folder)
    computed = statistics.median(times["computed"])
    print(f"TTFT of {arguments.tokens} tokens, {arguments.rounds} prompts, {arguments.threads} threads, median (range) in ms")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:>9}: {median:8.1f} ({min(values):.1f}–{max(values):.1f}), {computed / median:.1f} times as fast")


if __name__ == "__main__":
    main()
