"""Every fault of the table in docs/running-a-deployment.md, injected: it ends in the text that stands there, and nothing is
left running."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from deployment import DEADLINE, ROOT, XPYD, free_ports, is_alive, wait_until

FAKE = ROOT / "Tests" / "Conformance" / "fake_vllm.py"
DOCUMENT = ROOT / "docs" / "running-a-deployment.md"
ROWS = dict(re.findall(r"^\| ([^|`]+?) \| (`.*?) \| [^|]* \|$", DOCUMENT.read_text(), re.MULTILINE))


class Up:
    """`xpyd up` with workers that are no engines, 2p1d unless said otherwise."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_ports(4)
        self.names = {"decoder": self.port + 1, "prefiller1": self.port + 2, "prefiller2": self.port + 3}
        self.text = ""
        self.started = threading.Event()

    def topology(self, faults=(), extra="", **changes):
        """A file whose workers have these faults by name."""
        workers = "".join(
            f"  - name: {name}\n    role: {name.rstrip('12')}\n    engine: vllm\n    port: {port}\n"
            + f"    environment: {{FAKE_VLLM_FOLDER: '{self.folder}'}}\n"
            + (f"    arguments: {json.dumps(dict(faults)[name].split())}\n" if name in dict(faults) else "")
            for name, port in self.names.items()
        )
        settings = {"backoff": "0.1", "ready-timeout": "60", "max-restarts": "2", "grace": "5"} | changes
        path = self.folder / "topology.yaml"
        path.write_text(
            f"model: m\nvllm: {FAKE}\nworkers:\n{workers}proxy: {{port: {self.port}}}\nlogs: {{directory: {self.folder}/logs}}\n"
            + "supervision: {" + ", ".join(f"{key}: {value}" for key, value in settings.items()) + "}\n" + extra
        )  # fmt: skip
        return path

    def run(self, *arguments, then=None):
        """Runs to its end, or until `then` has done what it does to a running deployment."""
        self.process = subprocess.Popen(
            list(map(str, [XPYD, "up", *arguments])), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=self.folder,
        )  # fmt: skip
        reader = threading.Thread(target=self._read)
        reader.start()
        try:
            if then:
                assert self.started.wait(DEADLINE), self.text
                then(self)
            self.code = self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            reader.join()
        return self

    def _read(self):
        for line in self.process.stdout:
            self.text += line
            if "Press Ctrl-C to stop." in line:
                self.started.set()
        self.started.set()

    def pid(self, name):
        return int(re.findall(rf"starting {name} (?:again )?on port \d+ \(pid (\d+)", self.text)[-1])

    def wait_for(self, text):
        wait_until(lambda: text in self.text, f"{text}\n{self.text}")

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)


def starts_wrongly(fault, **changes):
    def inject(up):
        up.run(up.topology({"decoder": f"--fault {fault}"}, **changes))
        assert up.code == 1

    return inject


def file_says(old, new, count=1):
    def inject(up):
        path = up.topology()
        path.write_text(path.read_text().replace(old, new, count))
        up.run(path)
        assert up.code != 0 and "starting" not in up.text

    return inject


def port_taken(up):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", up.names["decoder"]))
        holder.listen()
        up.run(up.topology())
    assert up.code == 1 and f"by pid {os.getpid()}" in up.text


def no_program(up):
    path = up.topology()
    path.write_text(path.read_text().replace(f"vllm: {FAKE}", "vllm: /no/such/vllm"))
    assert up.run(path).code != 0


def unknown_argument(up):
    up.run(up.topology({"decoder": "--max-model-length 7"}))
    assert up.code == 1 and "  | vllm: error: unrecognized arguments: --max-model-length 7" in up.text


def killed(up):
    def then(up):
        os.kill(up.pid("prefiller1"), signal.SIGKILL)
        up.wait_for("prefiller1 is ready again")
        up.stop()

    assert up.run(up.topology(), then=then).code == 0


def proxy_killed(up):
    def then(up):
        os.kill(up.pid("proxy"), signal.SIGKILL)
        up.wait_for("proxy is ready again")
        up.stop()

    assert up.run(up.topology(), then=then).code == 0


def crash_loop(up):
    def then(up):
        os.kill(up.pid("prefiller1"), signal.SIGKILL)
        up.wait_for("is given up")
        assert up.process.poll() is None
        up.stop()

    assert up.run(up.topology({"prefiller1": "--fault dies-later"}), then=then).code == 0


def role_empty(up):
    def then(up):
        os.kill(up.pid("decoder"), signal.SIGKILL)

    assert up.run(up.topology({"decoder": "--fault dies-later"}), then=then).code == 1


def disk_full(up):
    logs = up.folder / "logs"
    logs.mkdir()
    (logs / "prefiller2.log").symlink_to("/dev/full")

    def then(up):
        up.wait_for("cannot write")
        up.stop()

    assert up.run(up.topology({"prefiller2": "--fault chatty"}), then=then).code == 0


def no_log_folder(up):
    (up.folder / "logs").write_text("a file")
    assert up.run(up.topology()).code != 0


def few_gpus(up):
    up.run("2p1d", "--engine", "vllm", "--vllm", FAKE, "--model", "m", "--gpus", "0,1")
    assert up.code != 0


def no_file(up):
    assert up.run(up.folder / "none.yaml").code != 0


def flag_beside_file(up):
    assert up.run(up.topology(), "--port", "9").code != 0


def embedded(model):
    def inject(up):
        path = up.folder / "broken.gguf"
        path.write_bytes(b"GGUF" + bytes(100))
        ports = ["--port", up.port, "--decoder-port", up.port + 1, "--prefiller-port", up.port + 2]
        assert up.run("1p1d", "--model", model.replace("FOLDER", str(up.folder)), *ports).code != 0

    return inject


def other_host(up):
    path = up.topology(**{"ready-timeout": "1"})
    # An address for documents, where nobody is.
    text = path.read_text().replace(f"    port: {up.names['prefiller2']}\n", "    host: 192.0.2.1\n    port: 8101\n")
    path.write_text(text)
    assert up.run(path).code == 1


def deaf(up):
    assert up.run(up.topology({"decoder": "--fault deaf"}, grace="1"), then=Up.stop).code == 0


def second_signal(up):
    def then(up):
        up.stop()
        time.sleep(1.5)  # What comes within a second counts as one.
        up.stop()

    assert up.run(up.topology({"decoder": "--fault deaf"}, grace="60"), then=then).code == 0


def launcher_killed(up):
    up.run(up.topology(grace="2"), then=lambda up: up.process.kill())


FAULTS = {
    "a port is taken": port_taken,
    "a worker exits at once": starts_wrongly("exits"),
    "an argument that the engine does not know": unknown_argument,
    "a worker hangs before it is ready": starts_wrongly("hangs", **{"ready-timeout": "1"}),
    "another program answers at its port": starts_wrongly("stranger", **{"ready-timeout": "1"}),
    "a worker is killed while it runs": killed,
    "the proxy is killed": proxy_killed,
    "a worker dies again and again": crash_loop,
    "the last of its role does": role_empty,
    "a worker ignores the request to stop": deaf,
    "a second Ctrl-C": second_signal,
    "the launcher is killed (-9)": launcher_killed,
    "the disk with the logs is full": disk_full,
    "the log folder cannot be made": no_log_folder,
    "the file is no YAML": file_says("workers:", "workers: ["),
    "an unknown key": file_says("    port:", "    prot:"),
    "a value of the wrong kind": file_says("role: decoder", "role: decode"),
    "one port for two": None,
    "one GPU for two": file_says("    engine: vllm\n", "    engine: vllm\n    gpus: [0]\n", count=3),
    "fewer GPUs than workers need": few_gpus,
    "no such topology file": no_file,
    "a flag beside a file that says it": flag_beside_file,
    "vLLM is not installed": no_program,
    "NIXL is not installed": starts_wrongly("no-nixl"),
    "the GPU is too small": starts_wrongly("no-memory"),
    "a model that needs a token": starts_wrongly("gated"),
    "a wrong model name (vLLM)": starts_wrongly("no-model"),
    "a wrong model name (ours)": embedded("smolm2-135m-instruct"),
    "a model file that is damaged": embedded("FOLDER/broken.gguf"),
    "a worker on another host never answers": other_host,
}


def one_port_for_two(up):
    file_says(f"port: {up.names['prefiller2']}", f"port: {up.names['prefiller1']}")(up)


FAULTS["one port for two"] = one_port_for_two


def test_the_table_lists_every_fault():
    assert set(ROWS) == set(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_in_its_message_and_leaves_nothing(fault, tmp_path):
    up = Up(tmp_path)
    FAULTS[fault](up)
    for said in re.findall(r"`([^`]+)`", ROWS[fault]):
        pattern = ".*".join(map(re.escape, said.split("…")))
        assert re.search(pattern, up.text), f"{said}\nnot in\n{up.text}"
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    wait_until(lambda: not any(map(is_alive, pids)), "no process left")


def test_workers_get_the_examples_environment_and_a_token_of_their_deployment(tmp_path):
    up = Up(tmp_path)
    up.run(up.topology(), then=Up.stop)
    assert up.code == 0, up.text
    given = {name: json.loads((tmp_path / f"{port}.json").read_text()) for name, port in up.names.items()}
    for name, seen in given.items():
        environment = seen["environment"]
        assert environment["VLLM_ENABLE_V1_MULTIPROCESSING"] == "1"
        assert environment["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"
        role = "kv_consumer" if name == "decoder" else "kv_producer"
        transfer = json.loads(seen["arguments"][seen["arguments"].index("--kv-transfer-config") + 1])
        assert transfer == {"kv_connector": "NixlConnector", "kv_role": role, "kv_buffer_device": "cpu"}
    assert len({seen["environment"]["XPYD_DEPLOYMENT"] for seen in given.values()}) == 1
