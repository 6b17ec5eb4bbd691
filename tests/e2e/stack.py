"""A whole gate for tests: mock provider and `portcullis up` on free ports, in a folder of its own.

Everything goes the way a user's would: the command line starts and governs it, apps talk to Envoy,
audit questions go through the control plane. What is reached for behind that is for breaking things.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from declared import DECLARED, MOCK
from plain_http import Reply, UnixConnection, ask

from controlplane.cli.client import Client, DeclinedError, SystemDownError
from controlplane.envoy.listener import REQUESTS_COUNTER

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PROVIDER_SECRET: Final = "sk-provider-secret-of-the-tests"
PARTS: Final = ("envoy", "extproc", "ingest", "control")


def eventually(probe: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Ask until the answer is true; the limit is only there so that a broken part fails the test."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"never came: {what}")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def short_folder() -> Path:
    """A fresh folder whose path leaves room for Unix sockets."""
    return Path(tempfile.mkdtemp(prefix="pcl-", dir="/tmp"))


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def environment(**more: str) -> dict[str, str]:
    """For the programs under test: this checkout, none of the caller's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTCULLIS_")}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, "E2E_PROVIDER_SECRET": PROVIDER_SECRET, **more}


def command(*arguments: str | Path) -> list[str]:
    """The command line `portcullis …`."""
    return [sys.executable, "-m", "controlplane.cli", *map(str, arguments)]


class Stack:
    """A gate that runs from `with` to its end.

    `declared` is applied once it is up (None: nothing is); `settings` are lines of portcullis.yaml
    besides the addresses; `variables` are added to the system's environment.
    """

    def __init__(self, declared: str | None = DECLARED, *, settings: str = "", variables: Mapping[str, str] | None = None) -> None:
        self.folder = short_folder()
        self.data = self.folder / "data"
        self.config = self.folder / "portcullis.yaml"
        self.log_file = self.folder / "log"
        self.environment = environment(**(variables or {}))
        self._declared = declared
        ports = f"gateway: {{listen: 127.0.0.1:{free_port()}}}\ncontrol: {{listen: 127.0.0.1:{free_port()}}}\n"
        self.config.write_text(ports + settings, "utf-8")
        self._running = contextlib.ExitStack()
        self.mock = ""
        self.process: subprocess.Popen[bytes] | None = None

    # ── its life ──────────────────────────────────────────────────────────────

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as building:
            building.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.mock = building.enter_context(mock_provider(self.folder))
            building.callback(self.stop)
            self.start()
            if self._declared is not None:
                self.apply(self._declared)
            self._running = building.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def start(self) -> None:
        """Start the system and wait until it is ready; again after `stop`, if wanted."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                command("up", "-c", self.config, "--data", self.data),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self.folder,
            )
        eventually(self._ready, "ready.json", 90)

    def stop(self) -> int:
        """Stop the system as Ctrl-C would; its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        return (self.data / "run" / "ready.json").exists()

    # ── what a user sees ──────────────────────────────────────────────────────

    @property
    def ready(self) -> dict[str, Any]:
        """What ready.json says."""
        found: dict[str, Any] = json.loads((self.data / "run" / "ready.json").read_bytes())
        return found

    @property
    def gateway(self) -> str:
        """Where apps talk to it."""
        return str(self.ready["gateway"])

    @property
    def pids(self) -> dict[str, int]:
        """The parts' processes."""
        return dict(self.ready["pids"])

    @property
    def log(self) -> str:
        """All that the system has printed."""
        return self.log_file.read_text("utf-8", "replace")

    def run(self, *arguments: str | Path, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`portcullis …` against this system."""
        done = subprocess.run(
            [*command(*arguments), "--data", str(self.data)],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def apply(self, text: str) -> None:
        """Make a declarative text so, `http://mock` being the mock provider. Comes back when Envoy goes by it."""
        file = self.folder / "gate.yaml"
        file.write_text(text.replace(MOCK, self.mock), "utf-8")
        self.run("apply", "-f", file, "--keys-file", self.folder / "keys.json", "--json")

    def key(self, name: str = "app") -> str:
        """A virtual key's secret."""
        return str(json.loads((self.folder / "keys.json").read_bytes())[name])

    def ask(self, document: Any, *, key: str = "app", path: str = "/v1/chat/completions", **headers: str) -> Reply:
        """POST a JSON document (or bytes as they are) to the gate with a named key; an empty name sends none."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        auth = {"authorization": f"Bearer {self.key(key)}"} if key else {}
        return ask(self.gateway, "POST", path, body, **{"content_type": "application/json", **auth, **headers})

    def chat(self, text: str = "Hello", *, model: str = "cheap", key: str = "app", stream: bool = False, **more: Any) -> Reply:
        """One chat completion."""
        asked = {"model": model, "messages": [{"role": "user", "content": text}], **({"stream": True} if stream else {}), **more}
        return self.ask(asked, key=key)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the audit database."""
        answer = self.client.call("POST", "/api/v1/audit/query", {"sql": sql})
        return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]

    def row(self, exchange: str) -> dict[str, Any]:
        """The one row of an exchange, waited for."""
        assert exchange, "the answer named no exchange"

        def stored() -> list[dict[str, Any]]:
            with contextlib.suppress(SystemDownError, DeclinedError):  # ingest may just be coming back
                return self.query(f"SELECT * FROM audit.requests WHERE id = '{exchange}'")  # noqa: S608 - an id that the gate made
            return []

        rows = eventually(stored, f"the row of {exchange}")
        assert len(rows) == 1, rows
        return dict(rows[0])

    @property
    def client(self) -> Client:
        """The control plane's API."""
        ready = self.ready
        return Client(ready["control"], Path(ready["admin_token_file"]).read_text("utf-8").strip())

    # ── the provider's side ───────────────────────────────────────────────────

    def script(self, *steps: Mapping[str, Any]) -> None:
        """Programme the mock's next answers (docs/reference/mock.md)."""
        reply = ask(self.mock, "POST", "/__script", json.dumps(steps).encode())
        assert reply.status == 200, reply.body

    def mock_received(self) -> list[dict[str, Any]]:
        """What reached the mock."""
        return [json.loads(line) for line in ask(self.mock, "GET", "/__received").body.splitlines()]

    def forget(self) -> None:
        """The mock forgets what it got and what it was told to answer."""
        ask(self.mock, "DELETE", "/__received")
        self.forget_steps()

    def forget_steps(self) -> None:
        """The mock answers as it does of itself."""
        ask(self.mock, "DELETE", "/__script")

    # ── Envoy's side ──────────────────────────────────────────────────────────

    def admin(self, path: str, method: str = "GET") -> str:
        """Ask Envoy's admin on its Unix socket."""
        connection = UnixConnection(self.data / "run" / "envoy-admin.sock")
        try:
            connection.request(method, path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def envoy_counter(self, name: str = REQUESTS_COUNTER) -> int:
        """One of Envoy's counters; by default the requests that reached the listener."""
        return int(self.admin(f"/stats?filter=^{name}$").rpartition(":")[2] or 0)

    # ── breaking it ───────────────────────────────────────────────────────────

    def kill(self, part: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a part a signal; the process id it had."""
        pid = self.pids[part]
        os.kill(pid, number)
        return pid

    def back(self, part: str, gone: int) -> None:
        """Wait until the supervisor has a killed part running again."""
        eventually(lambda: self.pids.get(part) not in {None, gone}, f"{part} again")

    @contextlib.contextmanager
    def paused(self, part: str) -> Iterator[None]:
        """A part that hangs: stopped with SIGSTOP, going on afterwards."""
        pid = self.kill(part, signal.SIGSTOP)
        eventually(lambda: _state(pid) == "T", f"{part} stopped")
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def without(self, part: str) -> Iterator[None]:
        """A part that is not there: killed while the supervisor is held, so that nobody starts it again before the end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        supervisor = self.process.pid
        eventually(lambda: _state(supervisor) == "T", "the supervisor held")
        pid = self.kill(part)
        eventually(lambda: not alive(pid), f"{part} gone")
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)
            self.back(part, pid)

    def left_behind(self, pids: Sequence[int]) -> list[str]:
        """What is left of a system that has ended: processes, sockets, ports, ready.json."""
        found = [f"process {pid}" for pid in pids if alive(pid)]
        run = self.data / "run"
        found += [path.name for path in run.iterdir() if path.is_socket() or path.name == "ready.json"]
        for line in self.config.read_text("utf-8").splitlines()[:2]:
            port = int(line.rpartition(":")[2].rstrip("}"))
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    found.append(f"port {port}")
        return found


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]


@contextlib.contextmanager
def mock_provider(folder: Path, port: int = 0) -> Iterator[str]:
    """A mock provider in a process of its own; its address."""
    told = folder / "mock.port"
    told.unlink(missing_ok=True)
    run = [sys.executable, "-m", "controlplane.mock", "--port", str(port), "--port-file", str(told)]
    process = subprocess.Popen(run, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment())
    try:
        eventually(told.exists, "the mock's port")
        yield f"http://127.0.0.1:{told.read_text('utf-8').strip()}"
    finally:
        process.kill()
        process.wait()
