"""Starts servers on the reference model, loads them through HTTP and prints what the clients saw. See compare-served.sh."""

import argparse
import concurrent.futures
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

DEFAULT_MODEL = pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "xpyd/models/smollm2-135m-instruct.gguf")
DEADLINE = 120
CONTEXT = 2112


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that serves on a port, pinned to `cpus` if they are given."""

    def __init__(self, command, port, cpus=None):
        self.port, self.started = port, time.monotonic()
        pinned = ["taskset", "-c", ",".join(map(str, cpus))] if cpus else []
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(pinned + [str(part) for part in command], stdout=self.log, stderr=self.log)

    def fail(self, what):
        self.log.seek(0)
        sys.exit(f"{' '.join(map(str, self.process.args))}: {what}\n{self.log.read()[-2000:]}")

    def get(self, path, body=None):
        """The status of an answer, None if nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request("POST" if body else "GET", path, body and json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def first_token(self):
        """Seconds from the process's start to the first token of the first request that it answers."""
        body = {"model": "m", "prompt": "Hello", "max_tokens": 1, "temperature": 0}
        while self.get("/v1/completions", body) != 200:
            if self.process.poll() is not None or time.monotonic() - self.started > DEADLINE:
                self.fail("does not answer")
            time.sleep(0.005)
        return time.monotonic() - self.started

    def wait(self):
        while self.get("/ready") != 200:
            if self.process.poll() is not None or time.monotonic() - self.started > DEADLINE:
                self.fail("is not ready")
            time.sleep(0.02)

    def resident_megabytes(self):
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@contextlib.contextmanager
def stopped(*servers):
    try:
        yield servers
    finally:
        for server in reversed(servers):
            server.stop()


def bench(options, port, prompts, input_tokens, output_tokens, *flags):
    """Runs the client. Returns its JSON."""
    with tempfile.TemporaryDirectory() as folder:
        command = [options.xpyd, "bench", "serve", "--port", port, "--model", "m", "--tokenizer", options.model]
        command += ["--dataset-name", "random", "--num-prompts", prompts, "--random-input-len", input_tokens]
        command += ["--random-output-len", output_tokens, "--ignore-eos", "--save-result", "--save-detailed"]
        command += ["--result-dir", folder, "--result-filename", "result.json", *flags]
        run = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=600)
        if run.returncode != 0:
            sys.exit(f"the client failed:\n{run.stdout[-3000:]}")
        return json.loads(pathlib.Path(folder, "result.json").read_text())


# MARK: one worker beside llama-server

def start_xpyd(options, *flags, cpus=None):
    port = free_port()
    command = [options.xpyd, "serve", options.model, "--port", port, "--served-model-name", "m", "--max-model-len", CONTEXT]
    command += ["--activations", options.activations, "--disable-log-requests", "--log-level", "warning", *flags]
    return Server(command, port, cpus)


def start_llama(options):
    port = free_port()
    return Server([options.llama_server, "-m", options.model, "--port", port, "--host", "127.0.0.1", "-t", 2, "-tb", 2,
                   "-np", 4, "-c", 4 * CONTEXT, "--alias", "m"], port)


def peer_figures(options, start):
    with stopped(start()) as (server,):
        figures = {"start to first token, s": server.first_token()}
        result = bench(options, server.port, 16, 512, 64, "--max-concurrency", "4")
        figures["output tok/s"] = result["output_throughput"]
        figures["mean TTFT, ms"] = result["mean_ttft_ms"]
        figures["mean TPOT, ms"] = result["mean_tpot_ms"]
        bench(options, server.port, 4, 1984, 64, "--seed", "7")
        figures["resident after 4 × 2,048 tokens, MB"] = server.resident_megabytes()
        return figures


def peer(options):
    slots = ["--max-num-seqs", "4", "--num-kv-blocks", str(4 * CONTEXT // 16), "--threads", "2"]
    return {
        f"xpyd, {options.activations}": lambda: peer_figures(options, lambda: start_xpyd(options, *slots)),
        "llama-server": lambda: peer_figures(options, lambda: start_llama(options)),
    }


# MARK: 1p1d beside one aggregated worker

def streams_and_prompts(options, port):
    """Four streams of 600 tokens; soon after their start, three prompts of 1,900 tokens, four seconds apart."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        streams = pool.submit(bench, options, port, 4, 32, 600)
        time.sleep(1)
        prompts = bench(options, port, 3, 1900, 4, "--request-rate", "0.25", "--burstiness", "100", "--seed", "9")
        streams = streams.result()
    gaps = sorted(gap for stream in streams["itls"] for gap in stream)
    return {
        "streams: median ITL, ms": statistics.median(gaps) * 1000,
        "streams: P99 ITL, ms": gaps[min(len(gaps) - 1, len(gaps) * 99 // 100)] * 1000,
        "streams: longest ITL, ms": gaps[-1] * 1000,
        "streams: output tok/s": streams["output_throughput"],
        "prompts: mean TTFT, ms": prompts["mean_ttft_ms"],
        "prompts: longest TTFT, ms": max(prompts["ttfts"]) * 1000,
    }


def aggregated(options):
    with stopped(start_xpyd(options, "--threads", "2", "--cpus", "0,1")) as (worker,):
        worker.wait()
        return streams_and_prompts(options, worker.port)


def disaggregated(options):
    def worker(role, cpu):
        config = json.dumps({"kv_connector": "NixlConnector", "kv_role": role})
        return start_xpyd(options, "--kv-transfer-config", config, "--threads", "1", "--cpus", str(cpu), cpus=[cpu])

    with stopped(worker("kv_producer", 0), worker("kv_consumer", 1)) as (prefiller, decoder):
        for each in (prefiller, decoder):
            each.wait()
        port = free_port()
        proxy = [options.xpyd, "proxy", "--port", port, "--prefiller-host", "127.0.0.1", "--prefiller-port", prefiller.port,
                 "--decoder-host", "127.0.0.1", "--decoder-port", decoder.port, "--log-level", "warning"]
        with stopped(Server(proxy, port)) as (front,):
            front.wait()
            return streams_and_prompts(options, port)


def disagg(options):
    return {"one worker, 2 processors": lambda: aggregated(options), "1p1d, 1 processor each": lambda: disaggregated(options)}


# MARK: the table

def spread(values):
    digits = 0 if min(values) >= 100 else 2 if max(values) < 10 else 1
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def main():
    parser = argparse.ArgumentParser(prog="compare-served.sh", description=__doc__)
    parser.add_argument("case", choices=["peer", "disagg"])
    parser.add_argument("--model", type=pathlib.Path, default=DEFAULT_MODEL)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--activations", choices=["float32", "int16", "int8"], default="int16", help="of xpyd")
    parser.add_argument("--xpyd", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--llama-server", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.model.is_file():
        sys.exit(f"There is no model at {options.model}: run `make model`.")
    sides = {"peer": peer, "disagg": disagg}[options.case](options)
    results = {name: [] for name in sides}
    for number in range(options.rounds):
        for name in sorted(sides, reverse=number % 2 == 1):
            results[name].append(sides[name]())
            print(f"round {number + 1}: {name}: {results[name][-1]}", file=sys.stderr, flush=True)
    first, second = sides
    now = datetime.datetime.now(datetime.timezone.utc)
    print(f"{now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} processors, {options.model.name}, activations in "
          f"{options.activations}, medians of {options.rounds} rounds (range)\n")
    print(f"| figure | {first} | {second} | {first} / {second} |\n|---|--:|--:|--:|")
    for figure in results[first][0]:
        ours, theirs = ([figures[figure] for figures in results[name]] for name in (first, second))
        print(f"| {figure} | {spread(ours)} | {spread(theirs)} | {statistics.median(ours) / statistics.median(theirs):.2f} |")


main()
