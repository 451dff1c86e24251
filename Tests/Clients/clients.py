"""Clients of others, each in the virtual environment that scripts/clients.sh makes for it."""

import os
import subprocess

from deployment import ROOT, Deployment

FOLDER = ROOT / ".build" / "clients"
TOKENIZER = FOLDER / "tokenizer"
DEADLINE = 900


def run(client, command, *arguments, given=None, folder=None):
    """What the client's command prints; its end with another code than 0 is a failure that shows its last lines."""
    path = FOLDER / client / "bin" / command
    # A path is taken for a name on the hub where the hub is forbidden.
    left_out = [key for key in os.environ if key.endswith("_OFFLINE") or key == "PYTHONPATH"]
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    done = subprocess.run(
        [path, *map(str, arguments)],
        input=given,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env=environment,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def urls_of(client, folder):
    """Yields the addresses of the proxy before 2p1d and of its decoder alone."""
    assert (FOLDER / client / "installed").exists(), f"run `scripts/clients.sh {client}`, which installs it first"
    running = Deployment("2p1d", folder)
    yield [f"http://127.0.0.1:{port}" for port in (running.port, running.decoder_ports[0])]
    code, rest = running.stop()
    assert code == 0, rest
