"""Breaks one worker of 2p2d at a time and tells what the clients lost. Called by faults.sh."""

import argparse
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

from compare_routers import Process, add_arguments, commands, free_ports

DEADLINE = 30
# A stream takes 32 x 5 ms, so that 200 of them last longer than a worker's restart.
LOAD = ["--max-tokens", "32", "--verify", "1", "--timeout-ms", "5000"]
ENGINE = ["--itl-us", "5000", "--prefill-us", "2000", "--ttft-us", "2000"]
PROXY = ["--prefill-timeout", "1", "--first-token-timeout", "1", "--idle-timeout", "1", "--log-level", "error",
         "--access-log", "/dev/null"]  # fmt: skip


def get(port, path, data=None):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=5) as answer:
        return answer.read()


def wait_for(port):
    end = time.monotonic() + DEADLINE
    while True:
        try:
            return get(port, "/health")
        except OSError:
            assert time.monotonic() < end, f"nobody answers on port {port}"
            time.sleep(0.02)


class Engine:
    """One mock engine, that can be killed, started again and told to misbehave."""

    def __init__(self, tools, role, settings, port):
        self.command = [tools / "mock_engine", "--role", role, *settings]
        self.port = port
        self.start()

    def start(self):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([*map(str, self.command), "--port", str(self.port)], stderr=self.log)
        wait_for(self.port)

    @property
    def aborts(self):
        """When connections were closed in the middle of a request, on this machine's monotonic clock; with `--log 1`."""
        log = os.pread(self.log.fileno(), 1 << 24, 0)
        return [float(found) for found in re.findall(rb"\] ([\d.]+) \w+ \S* ?aborted by peer", log)]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def set(self, **settings):
        get(self.port, "/admin?" + "&".join(f"{key}={value}" for key, value in settings.items()), b"")

    def heal(self):
        if self.process.poll() is not None:
            return self.start()
        self.set(fail_rate=0, hang_rate=0, die_rate=0, stall_rate=0, break_rate=0)

    @property
    def served(self):
        stats = json.loads(get(self.port, "/stats"))
        return stats["prefill"] + stats["decode_stream"]


class Deployment:
    """Two prefillers, two decoders or more, and a router."""

    def __init__(self, options, decoders=2, engine=ENGINE, router="xpyd"):
        self.options = options
        ports = free_ports(2 + decoders)
        self.prefillers = [Engine(options.tools, "prefill", engine, port) for port in ports[:2]]
        self.decoders = [Engine(options.tools, "decode", engine, port) for port in ports[2:]]
        self.port = free_ports(1)[0]
        command = commands(options, ports[:2], ports[2:], PROXY)[router]
        logs = options.tools / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.router = Process(router, command(self.port), logs)
        self.router.await_answer(self.port)

    def start_load(self, *arguments):
        command = [self.options.tools / "loadgen", "--port", self.port, *arguments]
        return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)

    def load(self, requests, conc=16, arguments=LOAD):
        load = self.start_load("--conc", conc, "--requests", requests, *arguments)
        return json.loads(load.communicate()[0])

    def recovery(self, broken):
        """Seconds from when the broken workers are well again until each has served a request; None after DEADLINE."""
        for engine in broken:
            engine.heal()
        before = {engine.port: engine.served for engine in broken}
        start = time.monotonic()
        while any(engine.served == before[engine.port] for engine in broken):
            if time.monotonic() > start + DEADLINE:
                return None
            self.load(2)
        return time.monotonic() - start

    def stop(self):
        self.router.stop()
        for engine in self.prefillers + self.decoders:
            engine.kill()


def restart(engine):
    """Dies under load, and is back a second later."""

    def run():
        time.sleep(0.5)
        engine.kill()
        time.sleep(1)
        engine.start()

    thread = threading.Thread(target=run)
    thread.start()
    return thread.join


# Each gets a deployment and breaks it; it returns the broken workers and what to wait for after the load.
FAULTS = {
    "none": lambda d: ([], None),
    "prefiller down": lambda d: ([d.prefillers[0]], d.prefillers[0].kill()),
    "prefiller hangs": lambda d: ([d.prefillers[0]], d.prefillers[0].set(hang_rate=1)),
    "prefiller answers 500": lambda d: ([d.prefillers[0]], d.prefillers[0].set(fail_rate=1)),
    "prefiller dies in its answer": lambda d: ([d.prefillers[0]], d.prefillers[0].set(break_rate=1)),
    "all prefillers down": lambda d: (d.prefillers, [each.kill() for each in d.prefillers] and None),
    "decoder down": lambda d: ([d.decoders[0]], d.decoders[0].kill()),
    "decoder dies before the first token": lambda d: ([d.decoders[0]], d.decoders[0].set(break_rate=1)),
    "decoder dies in mid-stream": lambda d: ([d.decoders[0]], d.decoders[0].set(die_rate=1, die_after=16)),
    "decoder stalls in mid-stream": lambda d: ([d.decoders[0]], d.decoders[0].set(stall_rate=1, stall_after=16)),
    "decoder restarts under load": lambda d: ([d.decoders[0]], restart(d.decoders[0])),
}


def measure(options, fault, router):
    deployment = Deployment(options, router=router)
    try:
        deployment.load(32)
        broken, wait = FAULTS[fault](deployment)
        result = deployment.load(options.requests)
        if wait:
            wait()
        return {
            "fault": fault, "router": router, "requests": options.requests, "lost": options.requests - result["ok"],
            "outcomes": result["outcomes"], "total_ms": result["total_ms"], "is_broken": bool(broken),
            "recovery_s": deployment.recovery(broken) if broken else None,
        }  # fmt: skip
    finally:
        deployment.stop()


def cell(result, without):
    """Of the requests that were not lost: what the fault added to the median, and the latency of the slowest."""
    if result["lost"] == result["requests"]:
        figures = ["all", "–", "–"]
    else:
        added = result["total_ms"]["p50"] - without["total_ms"]["p50"]
        figures = [result["lost"], f"{added:+.0f}", f"{result['total_ms']['max']:.0f}"]
    if result["is_broken"]:
        recovery = result["recovery_s"]
        figures.append(f"> {DEADLINE}" if recovery is None else f"{recovery:.1f}")
    return " · ".join(map(str, figures))


def print_faults(options, routers):
    """Returns the results, a list for each router."""
    results = {router: [] for router in routers}
    print(f"Lost of {options.requests} · added to the p50, ms · slowest, ms · recovery, s\n")
    print("| fault | " + " | ".join(routers) + " |\n|" + "---|" * (1 + len(routers)))
    for fault in FAULTS:
        if fault != "none" and options.only not in fault:
            continue
        for router in routers:
            results[router].append(measure(options, fault, router))
        cells = [cell(results[router][-1], results[router][0]) for router in routers]
        print("| " + " | ".join([fault, *cells]) + " |", flush=True)
    return results


# When a client leaves: the workers' times, so that it leaves well within this part of its request.
MOMENTS = {
    "in the prefill": {"prefill_us": 5_000_000},
    "before the first token": {"prefill_us": 0, "ttft_us": 5_000_000},
    "in the stream": {"prefill_us": 0, "ttft_us": 0, "itl_us": 100_000},
}


def leave(options, moment, count=100):
    """Milliseconds from a client's leaving to its end at the worker that has the request, each."""
    deployment = Deployment(options, engine=["--log", "1"])
    try:
        engines = deployment.prefillers + deployment.decoders
        for engine in engines:
            engine.set(**MOMENTS[moment])
        times = []
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", deployment.port))
            body = json.dumps({"prompt": "x", "max_tokens": 1000, "stream": True}).encode()
            client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            if moment == "in the stream":
                client.recv(1 << 16)
            # Longer than the way to the worker takes, and it ends nothing.
            time.sleep(0.05)
            before = sum(len(engine.aborts) for engine in engines)
            left = time.monotonic()
            client.close()
            end = left + DEADLINE
            while sum(len(engine.aborts) for engine in engines) == before:
                assert time.monotonic() < end, f"a request whose client left {moment} goes on"
                time.sleep(0.001)
            times.append(1000 * (max(abort for engine in engines for abort in engine.aborts) - left))
        return sorted(times)
    finally:
        deployment.stop()


def print_leaving(options):
    print("\n| client leaves | legs closed after p50 / p99 / max, ms |\n|---|---|")
    for moment in MOMENTS:
        times = leave(options, moment)
        p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
        print(f"| {moment} | {p50:.1f} / {p99:.1f} / {times[-1]:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument("--peers", action="store_true", help="other routers too")
    parser.add_argument("--json", type=pathlib.Path, help="raw results")
    options = parser.parse_args()
    results = print_faults(options, list(commands(options, [], [])) if options.peers else ["xpyd"])
    if not options.only:
        print_leaving(options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return any(result["lost"] or result["is_broken"] and result["recovery_s"] is None for result in results["xpyd"])


if __name__ == "__main__":
    raise SystemExit(main())
