"""Runs llama.cpp's benchmarks and `xpyd bench engine` in turns and prints both medians and their ratio.

Two threads on two busy processors measure the neighbours, and llama.cpp, whose threads spin at barriers, suffers from them
most. So a measurement beside which other processes took more than --disturbance of the machine is repeated, whoever's it
is, as long as --patience lasts; the head of the table says how disturbed the worst that counts was.

Tests: pp512 prefills 512 tokens, tg64 decodes 64, one at a time, tg64x8 for 8 sequences at once (tokens/s of all), …@1024
behind 1,024 tokens. Batches are llama-batched-bench's, the others llama-bench's. Both sides run a test once before they
measure; but not llama-bench beyond 1,024 prompt tokens, where that costs more than it changes.
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

from random_model import TYPES, write_random_model

DEFAULT_MODEL = pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "xpyd/models/smollm2-135m-instruct.gguf")
ALL = "pp512,pp2048,tg64,tg64@1024,tg32x8,tg32x32"
ONE_THREAD = "pp512,tg64"
QUICK = "pp512,tg64,tg64@1024,tg16x8"


def parse_test(name):
    match = re.fullmatch(r"(?:(pp)([1-9]\d*)|(tg)([1-9]\d*)(?:x([1-9]\d*))?)(?:@([1-9]\d*))?", name)
    if not match:
        raise argparse.ArgumentTypeError(f"'{name}' is no test: name it pp512, tg64, tg64x8, pp512@1024 or tg64@1024")
    return {"name": name, "phase": match[1] or match[3], "tokens": int(match[2] or match[4]),
            "batch": int(match[5] or 1), "depth": int(match[6] or 0)}


def fraction(text):
    if not re.fullmatch(r"0\.\d+|1", text):
        raise argparse.ArgumentTypeError(f"'{text}' must be a number from 0.0 to 1")
    return float(text)


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be a number from 1 up")
    return int(text)


def comma_list(parse):
    return lambda text: [parse(part) for part in text.split(",") if part]


def activation(text):
    if text not in ("float32", "int16", "int8"):
        raise argparse.ArgumentTypeError(f"'{text}' must be float32, int16 or int8")
    return text


def quantised(text):
    if text not in TYPES:
        raise argparse.ArgumentTypeError(f"'{text}' must be one of {', '.join(TYPES)}")
    return text


def output_of(command):
    command = [str(part) for part in command]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1800)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stderr[-2000:]}")
    return result.stdout


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, options, model):
        self.options, self.model = options, model

    def rate(self, test, threads):
        """Tokens/s. llama.cpp prefills in steps of 512 tokens, as xpyd does."""
        return (self.batch if test["batch"] > 1 else self.bench)(test, threads)

    def bench(self, test, threads):
        tokens = ["-p", test["tokens"], "-n", 0] if test["phase"] == "pp" else ["-p", 0, "-n", test["tokens"]]
        command = [self.options.llama_bin / "llama-bench", "-m", self.model, "-t", threads]
        command += ["-r", self.options.repetitions, "-o", "json", *tokens, "-d", test["depth"]]
        if test["phase"] == "pp" and test["tokens"] > 1024:
            command.append("--no-warmup")
        return statistics.median(json.loads(output_of(command))[0]["samples_ts"])

    def batch(self, test, threads):
        prompt, batch = max(1, test["depth"]), test["batch"]
        command = [self.options.llama_bin / "llama-batched-bench", "-m", self.model, "-t", threads, "-tb", threads]
        command += ["-c", batch * (prompt + test["tokens"] + 16), "-b", 2048, "-ub", 512, "-npp", prompt]
        command += ["-ntg", test["tokens"], "-npl", batch, "--output-format", "jsonl"]
        lines = [line for line in output_of(command).splitlines() if line.startswith("{")]
        return json.loads(lines[-1])["speed_tg"]


class Xpyd:
    def __init__(self, options, model, activations):
        self.options, self.model, self.activations = options, model, activations
        self.name = f"xpyd {activations}"

    def rate(self, test, threads):
        command = [self.options.xpyd, "bench", "engine", self.model, "--tests", test["name"], "--threads", threads]
        command += ["--activations", self.activations, "--repetitions", self.options.repetitions, "--output", "json"]
        return json.loads(output_of(command))["rows"][0]["tokens_per_second"]


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
            time.sleep(0.25)
            if bystanders.share() <= self.limit:
                break
            self.patience -= 0.25


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
    """`results`: (format, test name, threads) → for each side's name a rate a round."""
    ours = [f"xpyd {activations}" for activations in options.activations]
    cells = ["file", "test", "threads", "llama.cpp tok/s"]
    for name in ours:
        cells += [f"{name} tok/s", "ratio"]
    yield f"| {' | '.join(cells)} |"
    yield "|---|---|" + "--:|" * (len(cells) - 2)
    for (form, test, threads), rates in results.items():
        cells = [form, test, str(threads), spread(rates["llama.cpp"], 1)]
        for name in ours:
            ratio = statistics.median(rates[name]) / statistics.median(rates["llama.cpp"])
            ratios = [mine / peer for peer, mine in zip(rates["llama.cpp"], rates[name])]
            cells += [spread(rates[name], 1), f"**{ratio:.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"]
        yield f"| {' | '.join(cells)} |"


def requantised(options, form):
    """The model in another of llama.cpp's formats, made of the model by its own quantiser, once."""
    path = options.llama_bin.parent.parent / f"{options.model.stem}.{form.lower()}.gguf"
    if not path.exists():
        part = path.with_suffix(".part")
        output_of([options.llama_bin / "llama-quantize", "--allow-requantize", options.model, part, form])
        part.rename(path)
    return path


def random_1b(options, form):
    """Llama-3.2-1B's shape with random weights, made once."""
    path = options.llama_bin.parent.parent / f"random-1b.{form.lower()}.gguf"
    if not path.exists():
        write_random_model(path, form)
    return path


def measure(options, quiet):
    # One thread has tests of its own: they take longest, and say least.
    plan = [(test, threads) for threads in options.threads for test in options.tests]
    plan += [(test, 1) for test in options.one_thread if (test, 1) not in plan]
    models = {form: requantised(options, form) for form in options.formats}
    models.update({f"1B {form}": random_1b(options, form) for form in options.random_1b})
    models = models or {"as it is": options.model}
    results = {(form, test["name"], threads): {} for form in models for test, threads in plan}
    for number in range(1, options.rounds + 1):
        for form, model in models.items():
            sides = [LlamaCpp(options, model)] + [Xpyd(options, model, name) for name in options.activations]
            # Who goes first changes, so that nobody always finds the machine as the same other left it.
            sides = sides[number % len(sides):] + sides[:number % len(sides)]
            for test, threads in plan:
                told = []
                for side in sides:
                    rate = quiet.measure(lambda: side.rate(test, threads))
                    results[form, test["name"], threads].setdefault(side.name, []).append(rate)
                    told.append(f"{side.name} {rate:.1f}")
                print(f"round {number}: {form}: {test['name']}, threads {threads}: {', '.join(told)} tok/s",
                      file=sys.stderr, flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(
        prog="compare-llamacpp.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=pathlib.Path, default=DEFAULT_MODEL)
    parser.add_argument("--quick", action="store_true", help=f"two rounds of {QUICK}")
    parser.add_argument("--rounds", type=positive)
    parser.add_argument("--repetitions", type=positive, default=1, help="of each test in a round; their median counts")
    parser.add_argument("--threads", type=comma_list(positive), default=[2], help="of --tests")
    parser.add_argument("--tests", type=comma_list(parse_test))
    parser.add_argument("--one-thread", type=comma_list(parse_test), help="tests to run on one thread, too")
    parser.add_argument("--activations", type=comma_list(activation), default=["int16"],
                        help="of xpyd: some of float32, int16, int8; llama.cpp's are int8")
    parser.add_argument("--formats", type=comma_list(str), default=[],
                        help="Q8_0,F16,Q4_0,Q4_K_M: the model requantised by llama-quantize, instead of the file as it is")
    parser.add_argument("--random-1b", type=comma_list(quantised), default=[],
                        help="Q4_0,Q8_0: random weights of Llama-3.2-1B's shape (0.7 and 1.3 GB), instead of the file")
    parser.add_argument("--disturbance", type=fraction, default=0.1, help="what others may take of the machine, 0…1")
    parser.add_argument("--patience", type=int, default=300, help="seconds in all for waiting and repeating")
    parser.add_argument("--xpyd", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--llama-bin", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.model.is_file():
        sys.exit(f"There is no model at {options.model}: run `make model`, or name a .gguf file.")
    tests = comma_list(parse_test)
    options.rounds = options.rounds or (2 if options.quick else 5)
    if options.one_thread is None:
        options.one_thread = [] if options.quick or options.tests else tests(ONE_THREAD)
    options.tests = options.tests or tests(QUICK if options.quick else ALL)

    quiet = Quiet(options.disturbance, options.patience)
    start = time.monotonic()
    results = measure(options, quiet)
    now = datetime.datetime.now(datetime.timezone.utc)
    print(f"{now:%Y-%m-%d %H:%M} UTC, {machine()}, {options.model.name}, {options.rounds} rounds of {options.repetitions}"
          f" in {time.monotonic() - start:.0f} s; other processes took up to {quiet.worst:.0%} of the machine")
    print("Medians of the rounds with their range; the ratio of the medians with the range of the rounds' ratios.\n")
    for line in table(options, results):
        print(line)


main()
