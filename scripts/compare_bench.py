"""Runs benchmark clients against one mock engine, in turns, and prints what each reached, cost and measured.

capacity   the highest rates that each client reaches (AIPerf too), its CPU, and how busy the engine was: at 100 % it is the limit
accuracy   what each measured of what the engine was told to do, with 256 streams at once
agreement  every mean of xpyd's table over vLLM's, at a load that neither client feels
memory     xpyd's resident memory in a run of 200,000 requests

vLLM's CPU is that of its `benchmark()` alone; xpyd's and AIPerf's are those of all their processes from start to end.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

MEANS = ["ttft", "tpot", "itl", "e2el"]
RANDOM = ["--random-input-len", "64", "--random-output-len"]
CAPACITY = {
    # name: (the mock's settings, flags of both clients)
    "32 at once, 16 chunks each": (
        {"itl-us": 0}, RANDOM + ["16", "--num-prompts", "2000", "--max-concurrency", "32"]),
    "256 at once, 200 chunks each, a write a chunk": (
        {"itl-us": 0}, RANDOM + ["200", "--num-prompts", "512", "--max-concurrency", "256"]),
    "the same, 4 chunks/ms, a write for all that are due": (
        {"itl-us": 250, "catch-up": 1}, RANDOM + ["200", "--num-prompts", "512", "--max-concurrency", "256"]),
}
# 80 requests/s of 3.2 s each: 256 at once.
ACCURACY = (
    {"ttft-us": 200_000, "itl-us": 50_000}, {"ttft": 200.0, "itl": 50.0},
    RANDOM + ["61", "--num-prompts", "400", "--request-rate", "80", "--burstiness", "100"])
AGREEMENT = (
    {"ttft-us": 200_000, "itl-us": 20_000}, RANDOM + ["50", "--num-prompts", "100", "--request-rate", "15"])


class Engine:
    """The mock engine."""

    DEFAULTS = {"ttft-us": 0, "itl-us": 0, "catch-up": 0}

    def __init__(self, command, port):
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([command, "--port", str(port)], stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def ask(self, path, method="GET"):
        with urllib.request.urlopen(urllib.request.Request(self.url + path, method=method)) as answer:
            return json.load(answer)

    def tell(self, settings):
        query = "&".join(f"{key}={value}" for key, value in (self.DEFAULTS | settings).items())
        self.ask(f"/admin?{query}", method="POST")

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Xpyd:
    def __init__(self, command, common, folder):
        self.command = [command, "bench", "serve", *common, "--disable-tqdm"]
        self.path = os.path.join(folder, "result.json")

    def start(self, flags):
        return subprocess.Popen(self.command + flags, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, flags):
        """Returns the result's JSON with `cpu_seconds`."""
        process = self.start(
            flags + ["--save-result", "--result-dir", os.path.dirname(self.path), "--result-filename", "result.json"])
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{' '.join(process.args)} failed:\n{output}")
        with open(self.path) as file:
            return json.load(file) | {"cpu_seconds": usage.ru_utime + usage.ru_stime}

    def stop(self):
        pass


class AIPerf:
    """NVIDIA's client: a process for each of its parts, which it starts anew for every run."""

    def __init__(self, command, port, folder):
        self.command = [
            command, "profile", "--model", "mock", "--url", f"http://127.0.0.1:{port}", "--endpoint-type", "completions",
            "--streaming", "--extra-inputs", "ignore_eos:true", "--tokenizer", make_tokenizer(command, folder),
            "--no-gpu-telemetry", "--no-server-metrics", "--ui", "none", "--artifact-dir", folder]
        self.path = os.path.join(folder, "profile_export_aiperf.json")
        # Offline, it takes a path for a name on the hub.
        self.environment = {key: value for key, value in os.environ.items() if not key.endswith("_OFFLINE")}

    NAMES = {
        "--random-input-len": "--synthetic-input-tokens-mean", "--random-output-len": "--output-tokens-mean",
        "--num-prompts": "--request-count", "--max-concurrency": "--concurrency"}

    def run(self, flags):
        """Returns the figures of its JSON under vLLM's keys, with `cpu_seconds`."""
        flags = [self.NAMES.get(flag, flag) for flag in flags]
        process = subprocess.Popen(
            self.command + flags, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{' '.join(process.args)} failed:\n{output[-2000:]}")
        with open(self.path) as file:
            result = json.load(file)
        asked = int(flags[flags.index("--request-count") + 1])
        return {
            "request_throughput": result["request_throughput"]["avg"],
            "output_throughput": result["output_token_throughput"]["avg"],
            "total_output_tokens": result["total_output_tokens"]["avg"], "duration": result["benchmark_duration"]["avg"],
            "completed": int(result["request_count"]["avg"]), "num_prompts": asked,
            "cpu_seconds": usage.ru_utime + usage.ru_stime}

    def stop(self):
        pass


def make_tokenizer(command, folder):
    """Returns the path of a tokenizer of words, for clients that cannot do without one; the mock engine does not care."""
    path = os.path.join(folder, "tokenizer")
    subprocess.run([os.path.join(os.path.dirname(command), "python"), "-c", f"""
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
words = Tokenizer(models.WordLevel({{f"w{{n}}": n for n in range(4096)}}, unk_token="w0"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0").save_pretrained({path!r})
"""], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return path


class VLLM:
    def __init__(self, command, common, folder):
        python = os.path.join(os.path.dirname(command), "python")
        self.common = common + ["--tokenizer", make_tokenizer(command, folder), "--disable-tqdm"]
        self.log = open(os.path.join(folder, "vllm.log"), "w+")
        self.process = subprocess.Popen(
            [python, os.path.join(os.path.dirname(__file__), "vllm_client.py")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.answer()

    def run(self, flags):
        """Returns the result's JSON with `cpu_seconds`."""
        self.process.stdin.write(json.dumps(self.common + flags) + "\n")
        self.process.stdin.flush()
        return json.loads(self.answer())

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            sys.exit(f"vLLM's client ended:\n{self.log.read()[-2000:]}")
        return line

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def alternate(clients, engine, settings, flags, rounds):
    """Returns a list of results for each client, with `engine_seconds`: the engine's CPU."""
    engine.tell(settings)
    results = {name: [] for name in clients}
    for number in range(rounds):
        for name in sorted(clients, reverse=number % 2 == 1):
            before = engine.cpu()
            result = clients[name].run(flags)
            result["engine_seconds"] = engine.cpu() - before
            if result["completed"] != result["num_prompts"]:
                sys.exit(f"{name}: {result['completed']} of {result['num_prompts']} requests completed")
            results[name].append(result)
    return results


def median(results, key):
    return statistics.median([result[key] for result in results])


def table(columns, rows):
    print("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    sys.stdout.flush()


def capacity(clients, engine, rounds):
    rows = []
    for case, (settings, flags) in CAPACITY.items():
        results = alternate(clients, engine, settings, flags, rounds)
        reached = {}
        for name, runs in results.items():
            requests, chunks = median(runs, "request_throughput"), median(runs, "output_throughput")
            cpu, busy = median(runs, "cpu_seconds"), median(runs, "engine_seconds")
            reached[name] = (requests, cpu)
            sent, tokens = runs[0]["completed"], runs[0]["total_output_tokens"]
            rows.append([
                case, name, f"{requests:,.0f}", f"{chunks:,.0f}", f"{cpu:.2f}", f"{cpu / sent * 1e6:,.0f}",
                f"{cpu / tokens * 1e6:.1f}", f"{busy / tokens * 1e6:.1f}", f"{busy / median(runs, 'duration') * 100:.0f} %"])
        for peer in reached:
            if peer != "xpyd":
                rate, cpu = (a / b for a, b in zip(reached["xpyd"], reached[peer]))
                rows.append([case, f"xpyd / {peer}", f"{rate:.1f} ×", f"{rate:.1f} ×", f"{cpu:.2f} ×", "", "", "", ""])
    table(["case", "client", "requests/s", "chunks/s", "CPU s", "CPU µs a request", "CPU µs a chunk",
           "engine's CPU µs a chunk", "engine's CPU"], rows)


def accuracy(clients, engine, rounds):
    settings, told, flags = ACCURACY
    rows = []
    for name, runs in alternate(clients, engine, settings, flags, rounds).items():
        cells = [name, f"{median(runs, 'max_concurrent_requests'):.0f}", f"{median(runs, 'cpu_seconds'):.2f}"]
        for metric in ("ttft", "itl"):
            for key in (f"mean_{metric}_ms", f"p99_{metric}_ms"):
                value = median(runs, key)
                cells.append(f"{value:.2f} ({value - told[metric]:+.2f})")
        rows.append(cells)
    table(["client", "at once", "CPU s", "mean TTFT (told 200 ms)", "P99 TTFT", "mean ITL (told 50 ms)", "P99 ITL"], rows)


def agreement(clients, engine, rounds):
    settings, flags = AGREEMENT
    results = alternate(clients, engine, settings, flags, rounds)
    rows = []
    for metric in MEANS:
        means = {name: [result[f"mean_{metric}_ms"] for result in runs] for name, runs in results.items()}
        cells = [f"mean {metric} (ms)"] + [", ".join(f"{value:.2f}" for value in values) for values in means.values()]
        if len(means) == 2:
            ratios = [ours / theirs - 1 for ours, theirs in zip(means["xpyd"], means["vllm"])]
            cells.append(", ".join(f"{ratio * 100:+.2f} %" for ratio in ratios))
        rows.append(cells)
    table(["figure"] + list(results) + (["xpyd over vllm"] if len(results) == 2 else []), rows)


def memory(clients, engine, requests=200_000):
    engine.tell({})
    before = engine.ask("/stats")["reqs"]
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as raw:
        process = clients["xpyd"].start([
            "--num-prompts", str(requests), "--random-input-len", "16", "--random-output-len", "4",
            "--max-concurrency", "64", "--raw-result", raw.name])
        samples = []
        while process.poll() is None:
            resident = rss(process.pid)
            if resident:
                samples.append((engine.ask("/stats")["reqs"] - before, resident))
            time.sleep(0.2)
        process.stdout.read()
        size = os.path.getsize(raw.name)
    rows = []
    for share in (0, 0.1, 0.25, 0.5, 0.75, 1):
        reached = next((sample for sample in samples if sample[0] >= max(1, share * requests * 0.999)), samples[-1])
        rows.append([f"{share * 100:.0f} %", f"{reached[0]:,}", f"{reached[1] / 1024:.0f} MB"])
    table(["of the run", "requests sent", "resident"], rows)
    print(f"\nRaw results: {size / 1e6:.0f} MB")


def rss(pid):
    """In KiB; None once the process has ended."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmRSS")), None)
    except OSError:
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xpyd", required=True)
    parser.add_argument("--vllm", required=True, help="its command, or none")
    parser.add_argument("--aiperf", required=True, help="its command, or none")
    parser.add_argument("--mock", required=True)
    parser.add_argument("--port", type=int, default=18277)
    parser.add_argument("--rounds", type=int, default=3)
    sections = {"capacity": capacity, "accuracy": accuracy, "agreement": agreement, "memory": memory}
    parser.add_argument("--only", default=",".join(sections), help="sections, with commas between them")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if unknown := set(chosen) - set(sections):
        parser.error(f"--only takes {', '.join(sections)}, not {', '.join(unknown)}")
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1")
    engine = Engine(arguments.mock, arguments.port)
    clients = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            common = ["--port", str(arguments.port), "--model", "mock", "--percentile-metrics", ",".join(MEANS)]
            clients["xpyd"] = Xpyd(arguments.xpyd, common, folder)
            if arguments.vllm != "none" and chosen != ["memory"]:
                clients["vllm"] = VLLM(arguments.vllm, common, folder)
            everyone = dict(clients)
            if arguments.aiperf != "none" and "capacity" in chosen:
                everyone["aiperf"] = AIPerf(arguments.aiperf, arguments.port, folder)
            for name in chosen:
                print(f"\n{name}" + ("" if name == "memory" else f", {arguments.rounds} rounds in turns"))
                if name == "memory":
                    memory(clients, engine)
                else:
                    sections[name](everyone if name == "capacity" else clients, engine, arguments.rounds)
    finally:
        for client in clients.values():
            client.stop()
        engine.stop()


if __name__ == "__main__":
    main()
