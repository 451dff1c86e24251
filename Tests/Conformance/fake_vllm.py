#!/usr/bin/env python3
"""Stands for `vllm serve` as far as a launcher sees it: arguments, environment, /health, a child of its own, and the ways
in which it fails (--fault). Writes what it was given, and its processes, into $FAKE_VLLM_FOLDER."""

import argparse
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

WORDS = {
    "gated": "OSError: You are trying to access a gated repo. 401 Client Error.",
    "no-model": "OSError: llama-9 is not a local folder and is not a valid model identifier",
    "no-nixl": "RuntimeError: NIXL is not available",
    "no-memory": "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
}

parser = argparse.ArgumentParser(prog="vllm")
parser.add_argument("command", choices=["serve"])
parser.add_argument("model")
parser.add_argument("--host")
parser.add_argument("--port", type=int)
parser.add_argument("--served-model-name", nargs="+")
parser.add_argument("--enforce-eager", action="store_true")
parser.add_argument("--tensor-parallel-size", type=int, default=1)
parser.add_argument("--kv-transfer-config", type=json.loads)
parser.add_argument("--fault", default="")
options = parser.parse_args()

folder = pathlib.Path(os.environ["FAKE_VLLM_FOLDER"])
# A process that leaves the group, as engines may.
engine = subprocess.Popen(["sleep", "1000"], start_new_session=True)
for pid in (os.getpid(), engine.pid):
    (folder / f"{pid}.pid").touch()
(folder / f"{options.port}.json").write_text(json.dumps({"arguments": sys.argv[1:], "environment": dict(os.environ)}))
signal.signal(signal.SIGTERM, signal.SIG_IGN if options.fault == "deaf" else lambda *_: sys.exit(0))

if options.fault in WORDS:
    sys.exit(WORDS[options.fault])
if options.fault == "chatty":
    print("INFO ready", flush=True)
if options.fault == "exits":
    sys.exit(3)
if options.fault == "hangs":
    print("INFO loading weights", flush=True)
    time.sleep(1000)
if options.fault == "dies-later":
    flag = folder / f"{options.port}.again"
    if flag.exists():
        sys.exit(4)
    flag.touch()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404 if options.fault == "stranger" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer((options.host, options.port), Handler).serve_forever()
