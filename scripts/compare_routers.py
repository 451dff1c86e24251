"""Drives routers in turns with the same load and prints one table. See compare-routers.sh.

All processes share the machine, so a figure counts beside the others of its row only: each round runs every router once,
in an order that rotates, and the table has the median of the rounds and their range.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
# Benchmarks/relay.c: no router, but what the kernel takes for passing bytes on.
RELAY = "bare relay"
VLLM, SGLANG, LMCACHE = "vllm-router-0.1.17", "sglang-router-0.3.2", "lmcache"


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    clients: int
    prompt_bytes: int
    chunks: int
    # Between two chunks of a stream; 0: as fast as they go.
    gap_us: int = 0

    def arguments(self, seconds):
        # A paced stream lasts longer than a round: two of them to each client.
        if self.gap_us:
            seconds = max(seconds, 2.2 * self.chunks * self.gap_us / 1e6)
        return ["--conc", self.clients, "--duration", seconds, "--prompt-bytes", self.prompt_bytes,
                "--max-tokens", self.chunks]  # fmt: skip


ONE = Workload("1 client, 200 B, 16 chunks", 1, 200, 16)
SOME = Workload("32 clients, 200 B, 16 chunks", 32, 200, 16)
MANY = Workload("256 clients, 200 B, 16 chunks", 256, 200, 16)
LONG = Workload("32 clients, 30 kB, 200 chunks", 32, 30_000, 200)
PACED = Workload("256 streams, 200 chunks, 10 ms apart", 256, 200, 200, gap_us=10_000)

# What is shown of each workload: name, key of a run, decimals, whether more is better.
ROWS = [
    (ONE, "TTFB p50, ms", "ttfb_p50", 3, False),
    (ONE, "requests/s", "rps", 0, True),
    (SOME, "requests/s", "rps", 0, True),
    (SOME, "TTFB p50, ms", "ttfb_p50", 2, False),
    (SOME, "TTFB p99, ms", "ttfb_p99", 1, False),
    (SOME, "router CPU a request, µs", "cpu_request", 0, False),
    (MANY, "requests/s", "rps", 0, True),
    (LONG, "requests/s", "rps", 0, True),
    (PACED, "chunks/s", "chunks", 0, True),
    (PACED, "TTFB p50, ms", "ttfb_p50", 1, False),
    (PACED, "router CPU a chunk, µs", "cpu_chunk", 1, False),
    (PACED, "router peak memory, MB", "peak_mb", 0, False),
]


def free_ports(count):
    """Consecutive ones, which is how LMCache's proxy counts."""
    while True:
        sockets = [socket.socket() for _ in range(count)]
        try:
            sockets[0].bind(("127.0.0.1", 0))
            first = sockets[0].getsockname()[1]
            for offset, each in enumerate(sockets[1:], start=1):
                each.bind(("127.0.0.1", first + offset))
            return [first + offset for offset in range(count)]
        except (OSError, OverflowError):
            continue
        finally:
            for each in sockets:
                each.close()


def fetch(port, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


class Process:
    """A process of its own session, so that its children count as it does."""

    def __init__(self, name, command, logs):
        self.name = name
        self.log = logs / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def pids(self):
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    stat = pathlib.Path("/proc", entry, "stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                if int(stat[3]) == self.process.pid:
                    yield int(entry), stat

    def cpu_seconds(self):
        return sum(int(stat[11]) + int(stat[12]) for _, stat in self.pids()) / TICKS

    def forget_peak(self):
        for pid, _ in self.pids():
            pathlib.Path("/proc", str(pid), "clear_refs").write_text("5")

    def peak_mb(self):
        status = [pathlib.Path("/proc", str(pid), "status").read_text() for pid, _ in self.pids()]
        return sum(int(re.search(r"VmHWM:\s+(\d+)", text)[1]) for text in status) / 1000

    def await_answer(self, port, seconds=90):
        """Until a small completion comes back, which needs a worker of each role."""
        end = time.monotonic() + seconds
        body = json.dumps({"model": "mock", "prompt": "x", "max_tokens": 2}).encode()
        while True:
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
            try:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/v1/completions", body, {"content-type": "application/json"})
                urllib.request.urlopen(request, timeout=5).read()
                return
            except OSError as error:
                if time.monotonic() > end:
                    sys.exit(f"{self.name} does not answer ({error}):\n{self.log.read_text()[-2000:]}")
                time.sleep(0.1)

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        except ProcessLookupError:
            pass


def add_arguments(parser):
    """What `commands` needs; the scripts give the first three."""
    parser.add_argument("--xpyd", type=pathlib.Path, required=True)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--routers", type=pathlib.Path)
    parser.add_argument("--lmcache-proxy", type=pathlib.Path, metavar="FILE")


def commands(options, prefillers, decoders, xpyd_arguments=()):
    """Name → port → command. Every request is to take both legs, whatever its length."""

    def url(port):
        return f"http://127.0.0.1:{port}"

    def flags(flag, ports):
        return [part for port in ports for part in (flag, url(port))]

    def comma(ports):
        return ",".join(map(str, ports))

    every = {
        "xpyd": lambda port: [
            options.xpyd, "proxy", "--port", port, "--prefiller-host", "127.0.0.1", "--decoder-host", "127.0.0.1",
            "--num-prefillers", len(prefillers), "--prefiller-port", comma(prefillers), "--num-decoders", len(decoders),
            "--decoder-port", comma(decoders), "--handoff", "nixl", "--disagg-threshold", 0, *xpyd_arguments],
        "vllm-router": lambda port: [
            options.routers / VLLM / "bin/vllm-router", "--host", "127.0.0.1", "--port", port,
            "--vllm-pd-disaggregation", *flags("--prefill", prefillers), *flags("--decode", decoders),
            "--policy", "round_robin", "--prometheus-port", free_ports(1)[0]],
        "sglang-router": lambda port: [
            options.routers / SGLANG / "bin/python", "-m", "sglang_router.launch_router", "--host", "127.0.0.1",
            "--port", port, "--pd-disaggregation", *flags("--prefill", prefillers), *flags("--decode", decoders),
            "--policy", "round_robin", "--prometheus-port", free_ports(1)[0]],
    }  # fmt: skip
    if options.lmcache_proxy:
        every["lmcache"] = lambda port: [
            options.routers / LMCACHE / "bin/python", options.lmcache_proxy, "--host", "127.0.0.1", "--port", port,
            "--prefiller-host", "127.0.0.1", "--prefiller-port", prefillers[0], "--num-prefillers", 2,
            "--decoder-host", "127.0.0.1", "--decoder-port", decoders[0]]  # fmt: skip
    return every


def prefill_legs(prefillers):
    stats = [json.loads(fetch(port, "/stats")) for port in prefillers]
    # SGLang has its prefills streamed.
    return sum(each["prefill"] + each["decode_stream"] for each in stats)


def measure(options, workload, router, port, prefillers, decoders):
    for decoder in decoders:
        fetch(decoder, f"/admin?itl_us={workload.gap_us}", "POST")
    if router:
        router.forget_peak()
    before, legs = router.cpu_seconds() if router else 0, prefill_legs(prefillers)
    arguments = ["--port", port, *workload.arguments(options.seconds)]
    output = subprocess.run(
        [options.tools / "loadgen", *map(str, arguments)], stdout=subprocess.PIPE, check=True, timeout=300).stdout
    run = json.loads(output)
    spent = (router.cpu_seconds() if router else 0) - before
    lost = {key: count for key, count in run["outcomes"].items() if key != "ok"}
    if router and router.name != RELAY and prefill_legs(prefillers) - legs < run["ok"]:
        print(f"{router.name}, {workload.name}: some requests had no prefill leg", file=sys.stderr)
    if lost:
        print(f"{router.name if router else 'direct'}, {workload.name}: lost {lost}", file=sys.stderr)
    return {
        "rps": run["rps"], "ttfb_p50": run["ttfb_ms"]["p50"], "ttfb_p99": run["ttfb_ms"]["p99"],
        "chunks": run["chunks_per_s"], "lost": sum(lost.values()),
        "cpu_request": 1e6 * spent / max(1, run["ok"]), "cpu_chunk": 1e6 * spent / max(1, run["chunks"]),
        "peak_mb": router.peak_mb() if router else 0,
    }  # fmt: skip


def cell(values, decimals):
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:,.{decimals}f} ({low:,.{decimals}f}–{high:,.{decimals}f})"


def ratio(ours, peers, more_is_better):
    """Ours to the best peer's, by medians."""
    medians = [statistics.median(values) for values in peers]
    if not medians:
        return "–"
    best = max(medians) if more_is_better else min(medians)
    return f"{statistics.median(ours) / best:.2f}" if best else "–"


def print_table(results, names, rounds):
    print(f"{os.cpu_count()} processors, shared by all processes; median of {rounds} rounds (range).\n")
    head = ["workload", "figure", *names, "xpyd ÷ best peer"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for workload, figure, key, decimals, more_is_better in ROWS:
        runs = {name: [run[key] for run in results[workload, name]] for name in names}
        cells = ["–" if name == "direct" and key in ("cpu_request", "cpu_chunk", "peak_mb") else cell(runs[name], decimals)
                 for name in names]  # fmt: skip
        peers = [runs[name] for name in names if name not in ("direct", RELAY, "xpyd")]
        last = ratio(runs["xpyd"], peers, more_is_better) if "xpyd" in runs else "–"
        print("| " + " | ".join([workload.name, figure, *cells, last]) + " |")
    lost = {name: sum(run["lost"] for workload, other in results if other == name for run in results[workload, name])
            for name in names}  # fmt: skip
    print("\nRequests lost: " + ", ".join(f"{name} {count}" for name, count in lost.items()) + ".")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="two rounds of a second and a half")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each run")
    parser.add_argument("--only", type=lambda text: text.split(","), help="routers, of xpyd, vllm-router, …")
    parser.add_argument("--workloads", type=lambda text: [int(part) for part in text.split(",")], help="1 to 5")
    parser.add_argument("--xpyd-arguments", type=str.split, default=[], help="more of them for xpyd proxy")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 1.5

    logs = options.tools / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    ports = free_ports(4)
    prefillers, decoders = ports[:2], ports[2:]
    workloads = [ONE, SOME, MANY, LONG, PACED]
    if options.workloads:
        workloads = [workloads[number - 1] for number in options.workloads]
        ROWS[:] = [row for row in ROWS if row[0] in workloads]
    running = []
    try:
        for role, port in zip(["prefill", "prefill", "decode", "decode"], ports):
            running.append(Process(f"mock-{port}", [options.tools / "mock_engine", "--port", port, "--role", role], logs))
        routers = {}
        for name, command in commands(options, prefillers, decoders, options.xpyd_arguments).items():
            if options.only and name not in options.only:
                continue
            port = free_ports(1)[0]
            router = Process(name, command(port), logs)
            running.append(router)
            router.await_answer(port)
            routers[name] = (router, port)
        port = free_ports(1)[0]
        relay = Process(RELAY, [options.tools / "relay", port, *decoders], logs)
        running.append(relay)
        relay.await_answer(port)
        contenders = {"direct": (None, decoders[0]), RELAY: (relay, port), **routers}
        results = {(workload, name): [] for workload in workloads for name in contenders}
        for number in range(options.rounds):
            for workload in workloads:
                names = list(contenders)
                for name in names[number % len(names):] + names[:number % len(names)]:
                    router, port = contenders[name]
                    results[workload, name].append(measure(options, workload, router, port, prefillers, decoders))
    finally:
        for process in running:
            process.stop()
    print_table(results, list(contenders), options.rounds)


if __name__ == "__main__":
    main()
