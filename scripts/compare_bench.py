"""Runs two benchmark clients against one mock engine, in turns, and prints what each reached and measured.

CPU is the client's own, user and system. vLLM's counts from the line that begins its main run: importing it takes half a
minute of CPU that says nothing of the client. xpyd's counts from the start of its process.
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

CASES = {
    # name: (mock's settings, flags of both clients, what the mock was told in ms)
    "capacity": (
        {"ttft-us": 0, "itl-us": 0},
        ["--num-prompts", "2000", "--random-input-len", "64", "--random-output-len", "16", "--max-concurrency", "32"],
        None,
    ),
    "streams": (
        {"ttft-us": 0, "itl-us": 0},
        ["--num-prompts", "512", "--random-input-len", "64", "--random-output-len", "200", "--max-concurrency", "256"],
        None,
    ),
    "accuracy": (
        {"ttft-us": 200_000, "itl-us": 50_000},
        ["--num-prompts", "768", "--random-input-len", "64", "--random-output-len", "100", "--request-rate", "50",
         "--burstiness", "100"],
        {"ttft": 200.0, "itl": 50.0},
    ),
}
MEANS = ["ttft", "tpot", "itl", "e2el"]


def cpu_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(command, folder, begins):
    """Runs a client. Returns its JSON and its CPU seconds since the line that starts with `begins`, if there is one."""
    path = os.path.join(folder, "result.json")
    command = command + ["--save-result", "--result-dir", folder, "--result-filename", "result.json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    before, tail = 0.0, []
    for line in process.stdout:
        tail = (tail + [line])[-20:]
        if begins and line.startswith(begins):
            before = cpu_of(process.pid)
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{''.join(tail)}")
    with open(path) as file:
        return json.load(file), usage.ru_utime + usage.ru_stime - before


def make_tokenizer(python, folder):
    """A tokenizer of words for vLLM's client, which cannot do without one; the mock engine does not care."""
    subprocess.run([python, "-c", f"""
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
words = Tokenizer(models.WordLevel({{f"w{{n}}": n for n in range(4096)}}, unk_token="w0"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0").save_pretrained({folder!r})
"""], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def tell(port, settings):
    query = "&".join(f"{key}={value}" for key, value in settings.items())
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/admin?{query}", method="POST")).read()


def clients(arguments, folder):
    common = ["bench", "serve", "--port", str(arguments.port), "--model", "mock", "--percentile-metrics",
              "ttft,tpot,itl,e2el"]
    commands = {"xpyd": ([arguments.xpyd] + common, None)}
    if arguments.vllm != "none":
        tokenizer = os.path.join(folder, "tokenizer")
        make_tokenizer(os.path.join(os.path.dirname(arguments.vllm), "python"), tokenizer)
        commands["vllm"] = (
            [arguments.vllm] + common + ["--tokenizer", tokenizer, "--disable-tqdm"], "Starting main benchmark run")
    return commands


def row(name, runs, told):
    median = lambda values: statistics.median(list(values))
    tokens = median(r["total_output_tokens"] for r, _ in runs)
    cells = [name, f"{median(r['request_throughput'] for r, _ in runs):.0f}",
             f"{median(r['output_throughput'] for r, _ in runs):.0f}", f"{median(cpu for _, cpu in runs):.2f}",
             f"{median(cpu for _, cpu in runs) / tokens * 1e6:.1f}"]
    for metric in MEANS:
        value = median(r[f"mean_{metric}_ms"] for r, _ in runs)
        off = f" ({value - told[metric]:+.2f})" if told and metric in told else ""
        cells.append(f"{value:.2f}{off}")
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xpyd", required=True)
    parser.add_argument("--vllm", required=True, help="its command, or none")
    parser.add_argument("--mock", required=True)
    parser.add_argument("--port", type=int, default=18277)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES))
    arguments = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1")
    mock = subprocess.Popen([arguments.mock, "--port", str(arguments.port)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        with tempfile.TemporaryDirectory() as folder:
            commands = clients(arguments, folder)
            for case in arguments.only.split(","):
                settings, flags, told = CASES[case]
                tell(arguments.port, settings)
                runs = {name: [] for name in commands}
                for number in range(arguments.rounds):
                    for name in sorted(commands, reverse=number % 2 == 1):
                        command, begins = commands[name]
                        runs[name].append(run(command + flags, folder, begins))
                print(f"\n{case}: {' '.join(flags)}; medians of {arguments.rounds}\n")
                print("| client | req/s | chunks/s | CPU s | CPU µs a chunk |"
                      + "".join(f" mean {metric} (ms) |" for metric in MEANS))
                print("|---" * (5 + len(MEANS)) + "|")
                for name in commands:
                    print(row(name, runs[name], told), flush=True)
    finally:
        mock.terminate()
        mock.wait()


if __name__ == "__main__":
    main()
