"""Runs the proxy for long under faults, and under clients that leave. Called by soak.sh."""

import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time

from compare_routers import add_arguments
from faults import DEADLINE, Deployment, get

# One worker at a time, so that each role has one that is well; what is broken is the worker's name in the table.
FAULTS = {
    "prefiller dies": ("prefillers", lambda worker: worker.kill()),
    "prefiller hangs": ("prefillers", lambda worker: worker.set(hang_rate=1)),
    "prefiller answers 500": ("prefillers", lambda worker: worker.set(fail_rate=1)),
    "prefiller dies in its answer": ("prefillers", lambda worker: worker.set(break_rate=1)),
    "decoder dies": ("decoders", lambda worker: worker.kill()),
    "decoder dies before the first token": ("decoders", lambda worker: worker.set(break_rate=1)),
    "decoder dies in mid-stream": ("decoders", lambda worker: worker.set(die_rate=1, die_after=20)),
    "decoder stalls in mid-stream": ("decoders", lambda worker: worker.set(stall_rate=1, stall_after=20)),
}
# Streams of four seconds.
STREAM = ["--max-tokens", "200", "--verify", "1", "--timeout-ms", "60000"]
ENGINE = ["--itl-us", "20000", "--prefill-us", "2000", "--ttft-us", "2000"]
# A client leaves in its prefill, before its first token, in its stream or just not.
CLIENTS = 64
# The proxy closes connections to workers that nobody used for four seconds, with its next look at its idle ones.
KEPT_SECONDS = 6
LEAVER = ["--max-tokens", "20", "--abort-ms", "150", "--abort-random", "1"]
LEAVER_ENGINE = {"itl_us": 5000, "prefill_us": 20000, "ttft_us": 20000}


class Watch:
    """What the proxy's process has at the moment."""

    def __init__(self, deployment):
        self.deployment = deployment
        self.folder = pathlib.Path("/proc", str(deployment.router.process.pid))

    @property
    def resident_mb(self):
        return int(re.search(r"VmRSS:\s+(\d+)", (self.folder / "status").read_text())[1]) / 1000

    @property
    def descriptors(self):
        return len(os.listdir(self.folder / "fd"))

    def left_over(self):
        """What is still under way; empty if nothing."""
        stats = json.loads(get(self.deployment.port, "/stats"))
        found = {key: stats["admission"][key] for key in ("running", "queued", "queued_bytes")}
        for worker in stats["prefillers"] + stats["decoders"]:
            found[worker["name"]] = worker["running"]
        for engine in self.deployment.prefillers + self.deployment.decoders:
            found[f"streams at port {engine.port}"] = json.loads(get(engine.port, "/stats"))["active_stream"]
        return {key: count for key, count in found.items() if count}

    def await_rest(self):
        end = time.monotonic() + DEADLINE
        while left := self.left_over():
            if time.monotonic() > end:
                return left
            time.sleep(0.1)
        return {}


def soak(deployment, options):
    dice = random.Random(options.seed)
    watch = Watch(deployment)
    load = deployment.start_load("--conc", options.streams, "--duration", options.seconds, *STREAM)
    resident, faults, broken = [], [], None
    start = time.monotonic()
    while load.poll() is None:
        time.sleep(min(1, options.fault_every / 2))
        resident.append(watch.resident_mb)
        now = time.monotonic() - start
        if broken and now >= broken[1]:
            broken[0].heal()
            broken = None
        if not broken and now < options.seconds and now >= (len(faults) + 1) * options.fault_every:
            role, strike = FAULTS[name := dice.choice(list(FAULTS))]
            worker = dice.choice(getattr(deployment, role))
            strike(worker)
            faults.append(name)
            broken = (worker, now + 0.6 * options.fault_every)
    if broken:
        broken[0].heal()
    result = json.loads(load.communicate()[0])
    lost = result["started"] - result["ok"]
    # The first quarter warms up.
    quarters = [max(resident[len(resident) * part // 4 :][: max(1, len(resident) // 4)]) for part in range(4)]
    left = watch.await_rest()
    print(f"{options.seconds:g} s, {options.streams} streams, {len(faults)} faults: {result['started']} requests, lost {lost}")
    print(f"outcomes {result['outcomes']}, added to the slowest stream {result['total_ms']['max'] - result['total_ms']['p50']:.0f} ms")
    print("migrations:", migrations(deployment))
    print("resident memory, MB, most of each quarter:", ", ".join(f"{most:.1f}" for most in quarters))
    print("left over:", left or "nothing")
    return lost == 0 and not left and quarters[3] <= 1.2 * quarters[1] + 5


def migrations(deployment):
    page = get(deployment.port, "/metrics").decode()
    return dict(re.findall(r'xpyd:proxy_migrations_total\{outcome="(\w+)"\} (\d+)', page))


def leave(deployment, options):
    for engine in deployment.prefillers + deployment.decoders:
        engine.set(**LEAVER_ENGINE)
    watch = Watch(deployment)
    rounds = []
    # The first round fills caches.
    for count in (max(1, options.leavers // 10), options.leavers):
        result = deployment.load(count, conc=CLIENTS, arguments=LEAVER)
        left = watch.await_rest()
        time.sleep(KEPT_SECONDS)
        rounds.append((result, left, watch.resident_mb, watch.descriptors))
    (_, _, resident_before, descriptors_before), (result, left, resident, descriptors) = rounds
    print(f"{options.leavers} clients that leave within 150 ms: {result['outcomes']}")
    print(f"resident memory, MB, before and after: {resident_before:.1f}, {resident:.1f}")
    print(f"open descriptors before and after: {descriptors_before}, {descriptors}")
    print("left over:", left or "nothing")
    odd = set(result["outcomes"]) - {"ok", "client_aborted"}
    return not odd and not left and resident <= 1.2 * resident_before + 5 and descriptors <= descriptors_before + 16


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--fault-every", type=float, default=5, help="seconds")
    parser.add_argument("--leavers", type=int, default=10_000, help="clients that leave at random moments")
    parser.add_argument("--seed", type=int, default=1, help="of the faults")
    options = parser.parse_args()
    deployment = Deployment(options, decoders=3, engine=ENGINE)
    try:
        is_well = [part(deployment, options) for part, size in ((soak, options.seconds), (leave, options.leavers)) if size]
    finally:
        deployment.stop()
    return not all(is_well)


if __name__ == "__main__":
    sys.exit(main())
