"""Starts a deployment as a user would, with the built binary, on ports of its own."""

import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
XPYD = ROOT / ".build" / "release" / "xpyd"
EXAMPLE_MODEL = "meta-llama/Llama-3.1-8B-Instruct"
DEADLINE = 120


def free_ports(count):
    """The first of `count` consecutive ports that nobody listens on, below those that the kernel gives to outgoing connections:
    one of these might be taken between the look and the start."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        end = int(file.read().split()[0])
    while True:
        base = random.randrange(10_000, max(end, 20_000) - count)
        try:
            with contextlib.ExitStack() as sockets:
                for port in range(base, base + count):
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
                return base
        except OSError:
            continue


class Deployment:
    """`xpyd up TOPOLOGY`, from start to stop."""

    def __init__(self, topology, logs, arguments=(), worker_arguments=()):
        prefillers, decoders = map(int, re.fullmatch(r"(\d+)p(\d+)d", topology).groups())
        base = free_ports(prefillers + decoders + 1)
        self.prefiller_ports = [base + i for i in range(prefillers)]
        self.decoder_ports = [base + prefillers + i for i in range(decoders)]
        self.port = base + prefillers + decoders
        self.logs = logs
        command = [
            XPYD, "up", topology, "--log-dir", logs, "--port", str(self.port),
            "--prefiller-port", str(self.prefiller_ports[0]), "--decoder-port", str(self.decoder_ports[0]),
            "--served-model-name", EXAMPLE_MODEL, *arguments, "--", *worker_arguments,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.printed = []
        self.pids = {}
        self.read_until("Press Ctrl-C to stop.")

    def read_until(self, text):
        end = time.monotonic() + DEADLINE
        for line in self.process.stdout:
            self.printed.append(line)
            started = re.match(r"starting (\S+) (?:again )?on port \d+ \(pid (\d+),", line)
            if started:
                self.pids[started[1]] = int(started[2])
            if text in line:
                return
            assert time.monotonic() < end, "".join(self.printed)
        raise AssertionError("xpyd up ended: " + "".join(self.printed))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, port, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=DEADLINE) as answer:
            return answer.read().decode()

    def metric(self, port, name):
        """The sum over all series of a metric whose name and labels begin with `name`."""
        lines = [line for line in self.get(port, "/metrics").splitlines() if line.startswith(name)]
        assert lines, f"no metric {name}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def is_ready(self):
        try:
            return self.get(self.port, "/ready") is not None
        except OSError:
            return False

    def kill(self, name):
        os.kill(self.pids[name], signal.SIGKILL)

    def stop(self, number=signal.SIGTERM):
        """Asks the launcher to stop; returns its exit code and what it printed since."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, rest


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"not in {DEADLINE} s: {what}"
        time.sleep(0.02)
