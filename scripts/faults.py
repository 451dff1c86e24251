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

DEADLINE = 30
# A stream takes 32 x 5 ms, so that 200 of them last longer than a worker's restart.
LOAD = ["--max-tokens", "32", "--verify", "1", "--timeout-ms", "20000"]
ENGINE = ["--itl-us", "5000", "--prefill-us", "2000", "--ttft-us", "2000"]
PROXY = ["--prefill-timeout", "1", "--first-token-timeout", "1", "--idle-timeout", "1", "--log-level", "error",
         "--access-log", "/dev/null"]  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path, data=None):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=5) as answer:
        return answer.read()


def wait_for(port, path="/health"):
    end = time.monotonic() + DEADLINE
    while True:
        try:
            return get(port, path)
        except OSError:
            assert time.monotonic() < end, f"nobody answers on port {port}"
            time.sleep(0.02)


class Engine:
    """One mock engine, that can be killed, started again and told to misbehave."""

    def __init__(self, tools, role, settings):
        self.command = [tools / "mock_engine", "--role", role, *settings]
        self.port = free_port()
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
    """Two prefillers, two decoders or more, and the proxy."""

    def __init__(self, options, decoders=2, engine=ENGINE):
        self.options = options
        self.prefillers = [Engine(options.tools, "prefill", engine) for _ in range(2)]
        self.decoders = [Engine(options.tools, "decode", engine) for _ in range(decoders)]
        self.port = free_port()
        flags = [
            "--prefiller-port", ",".join(str(each.port) for each in self.prefillers), "--num-prefillers", "2",
            "--decoder-port", ",".join(str(each.port) for each in self.decoders), "--num-decoders", str(decoders),
        ]  # fmt: skip
        self.proxy = subprocess.Popen(
            [options.xpyd, "proxy", "--port", str(self.port), *flags, *PROXY], stdout=subprocess.DEVNULL
        )
        wait_for(self.port, "/ready")

    def start_load(self, *arguments):
        command = [self.options.tools / "loadgen", "--port", self.port, *arguments]
        return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)

    def load(self, requests, conc=16, arguments=LOAD):
        load = self.start_load("--conc", conc, "--requests", requests, *arguments)
        return json.loads(load.communicate()[0])

    def recovery(self, broken):
        """Seconds from when the broken workers are well again until each has served a request."""
        for engine in broken:
            engine.heal()
        before = {engine.port: engine.served for engine in broken}
        start = time.monotonic()
        while any(engine.served == before[engine.port] for engine in broken):
            assert time.monotonic() < start + DEADLINE, "a worker that is well again gets no requests"
            self.load(2)
        return time.monotonic() - start

    def stop(self):
        self.proxy.kill()
        self.proxy.wait()
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


def measure(options, fault):
    deployment = Deployment(options)
    try:
        deployment.load(32)
        broken, wait = FAULTS[fault](deployment)
        result = deployment.load(options.requests)
        if wait:
            wait()
        return {
            "fault": fault, "requests": options.requests, "lost": options.requests - result["ok"],
            "outcomes": result["outcomes"], "total_ms": result["total_ms"],
            "recovery_s": deployment.recovery(broken) if broken else None,
        }  # fmt: skip
    finally:
        deployment.stop()


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
    parser.add_argument("--xpyd", required=True)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument("--json", type=pathlib.Path, help="raw results")
    options = parser.parse_args()
    names = [name for name in FAULTS if name == "none" or options.only in name]
    results = []
    print(f"| fault | lost of {options.requests} | latency p50 / p99 / max, ms | added p50, ms | recovery, s |")
    print("|---|---|---|---|---|")
    for name in names:
        result = measure(options, name)
        results.append(result)
        total = result["total_ms"]
        added = total["p50"] - results[0]["total_ms"]["p50"]
        recovery = "" if result["recovery_s"] is None else f"{result['recovery_s']:.2f}"
        print(
            f"| {name} | {result['lost']} | {total['p50']:.0f} / {total['p99']:.0f} / {total['max']:.0f} "
            f"| {added:.0f} | {recovery} |",
            flush=True,
        )
    if not options.only:
        print_leaving(options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return any(result["lost"] for result in results)


if __name__ == "__main__":
    raise SystemExit(main())
