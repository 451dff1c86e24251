"""Runs llama-bench and `xpyd bench engine` in turns and prints both medians and their ratio. See compare-llamacpp.sh.

Two threads on two busy processors measure the neighbours, and llama.cpp, whose threads spin at barriers, suffers from them
most. So a measurement beside which other processes took more than --disturbance of the machine is repeated, whoever's it
is, as long as --patience lasts; the head of the table says how disturbed the worst that counts was.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time

DEFAULT_MODEL = pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "xpyd/models/smollm2-135m-instruct.gguf")


def parse_test(name):
    """`pp512`, `tg64`, either with `@DEPTH`: what both programs can run."""
    match = re.fullmatch(r"(pp|tg)([1-9]\d*)(?:@([1-9]\d*))?", name)
    if not match:
        raise argparse.ArgumentTypeError(f"'{name}' is no test: name it pp512, tg64, pp512@1024 or tg64@1024")
    return {"name": name, "phase": match[1], "tokens": int(match[2]), "depth": int(match[3] or 0)}


def fraction(text):
    if not re.fullmatch(r"0\.\d+|1", text):
        raise argparse.ArgumentTypeError(f"'{text}' must be a number from 0.0 to 1")
    return float(text)


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be a number from 1 up")
    return int(text)


def comma_list(parse):
    return lambda text: [parse(part) for part in text.split(",")]


def output_of(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1800)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout)


def llama_bench(options, test, threads):
    """tokens/s, the median of the repetitions. llama-bench prefills in steps of 512 tokens, as xpyd does."""
    tokens = ["-p", test["tokens"], "-n", 0] if test["phase"] == "pp" else ["-p", 0, "-n", test["tokens"]]
    command = [options.llama_bench, "-m", options.model, "-t", threads, "-r", options.repetitions, "-o", "json"]
    rows = output_of([str(part) for part in command + tokens + ["-d", test["depth"]]])
    return statistics.median(rows[0]["samples_ts"])


def xpyd(options, test, threads):
    command = [options.xpyd, "bench", "engine", options.model, "--tests", test["name"], "--threads", threads]
    command += ["--activations", options.activations, "--repetitions", options.repetitions, "--output", "json"]
    report = output_of([str(part) for part in command])
    return report["rows"][0]["tokens_per_second"]


class Bystanders:
    """The share of the machine that processes other than our children have taken since this was made, 0…1."""

    def __init__(self):
        self.start = self.now()

    @staticmethod
    def now():
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        ticks = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        idle = ticks[3] + ticks[4]
        per_second = os.sysconf("SC_CLK_TCK")
        return (sum(ticks) - idle) / per_second - ours.ru_utime - ours.ru_stime, sum(ticks) / per_second

    def share(self):
        busy, total = (after - before for before, after in zip(self.start, self.now()))
        return max(0.0, busy / total) if total > 0 else 0.0


class Quiet:
    """Repeats what was disturbed, until the patience for the whole run is used up."""

    def __init__(self, limit, patience):
        self.limit = limit
        self.patience = patience
        self.worst = 0.0

    def measure(self, body):
        attempts = []
        while True:
            self.wait()
            bystanders, start = Bystanders(), time.monotonic()
            rate = body()
            attempts.append((bystanders.share(), rate))
            if attempts[-1][0] <= self.limit or self.patience <= 0:
                break
            self.patience -= time.monotonic() - start
        disturbance, rate = min(attempts)
        self.worst = max(self.worst, disturbance)
        return rate

    def wait(self):
        while self.patience > 0:
            bystanders = Bystanders()
            time.sleep(1)
            self.patience -= 1
            if bystanders.share() <= self.limit:
                break


def spread(values, digits):
    """Median, and the range in parentheses."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def machine():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = "unknown processor"
    return f"{name}, {os.cpu_count()} processors"


def table(options, results):
    """`results`: (test name, threads) → a list of (llama.cpp, xpyd), one a round."""
    yield "| test | threads | llama.cpp tok/s | xpyd tok/s | xpyd / llama.cpp |"
    yield "|---|--:|--:|--:|--:|"
    for (name, threads), rounds in results.items():
        theirs, ours = zip(*rounds)
        ratio = statistics.median(ours) / statistics.median(theirs)
        ratios = [mine / peer for peer, mine in rounds]
        yield (f"| {name} | {threads} | {spread(theirs, 1)} | {spread(ours, 1)} "
               f"| **{ratio:.2f}** ({min(ratios):.2f}–{max(ratios):.2f}) |")


def main():
    parser = argparse.ArgumentParser(prog="compare-llamacpp.sh", description=__doc__)
    parser.add_argument("model", nargs="?", type=pathlib.Path, default=DEFAULT_MODEL)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--repetitions", type=positive, default=3, help="of each test in a round; their median counts")
    parser.add_argument("--threads", type=comma_list(positive), default=[2, 1])
    parser.add_argument("--tests", type=comma_list(parse_test), default=comma_list(parse_test)("pp512,tg64"))
    parser.add_argument("--activations", choices=["float32", "int8"], default="float32", help="of xpyd; llama.cpp's are int8")
    parser.add_argument("--disturbance", type=fraction, default=0.1, help="what others may take of the machine, 0…1")
    parser.add_argument("--patience", type=positive, default=600, help="seconds in all for waiting and repeating")
    parser.add_argument("--xpyd", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--llama-bench", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.model.is_file():
        sys.exit(f"There is no model at {options.model}: run `make model`, or name a .gguf file.")

    quiet = Quiet(options.disturbance, options.patience)
    results = {(test["name"], threads): [] for threads in options.threads for test in options.tests}
    for number in range(1, options.rounds + 1):
        for threads in options.threads:
            for test in options.tests:
                # Who goes first changes, so that neither always finds the machine as the other left it.
                sides = [llama_bench, xpyd] if number % 2 else [xpyd, llama_bench]
                rates = {side: quiet.measure(lambda: side(options, test, threads)) for side in sides}
                results[test["name"], threads].append((rates[llama_bench], rates[xpyd]))
                print(f"round {number}: {test['name']}, threads {threads}: llama.cpp {rates[llama_bench]:.1f}, "
                      f"xpyd {rates[xpyd]:.1f} tok/s", file=sys.stderr)

    now = datetime.datetime.now(datetime.timezone.utc)
    print(f"{now:%Y-%m-%d %H:%M} UTC, {machine()}, {options.model.name}, xpyd with activations in "
          f"{options.activations}, {options.rounds} rounds of {options.repetitions}; other processes took up to {quiet.worst:.0%} of the machine")
    print("Medians of the rounds with their range; the ratio of the medians with the range of the rounds' ratios.\n")
    for line in table(options, results):
        print(line)


main()
