"""Makes the failures of the matrix happen, one stack a group, and tells what was seen."""

from __future__ import annotations

import contextlib
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from declared import DECLARED
from matrix_app import App
from matrix_cells import EVENT, UPSTREAM_TIMEOUT_S, Cell, Outcome, of
from matrix_rogue import Fault, rogue
from plain_http import Reply
from policy_folders import copied
from stack import PROVIDER_SECRET, Stack, eventually, free_port, short_folder

from controlplane.cli.client import DeclinedError, SystemDownError

STATS: Final = "/api/v1/audit/stats"


@dataclass
class Observed:
    """What was seen of a group. `leaks` and `unrecorded` name what reached the provider and should not have.

    `still_active`: requests to the provider that Envoy has not let go of.
    """

    cells: dict[str, Outcome] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    stats: Mapping[str, Any] = field(default_factory=dict)
    envoy: int = 0
    sent: int = 0
    still_active: int = 0
    serves_again: str = ""


class Run:
    """A group under way on its stack."""

    def __init__(self, gate: Stack) -> None:
        self.gate = gate
        self.sent = 0
        self.apps: dict[str, App] = {}

    # ── asking ─────────────────────────────────────────────────────────────────

    def ask(self, cell: Cell, **changes: Any) -> App:
        """Send a cell's request."""
        self.sent += 1
        app = App(self.gate, cell.name, model=cell.how.get("model", "cheap"), stream=cell.stream, **changes)
        self.apps[cell.name] = app
        return app.ask()

    def ask_all(self, cells: Sequence[Cell], **changes: Any) -> list[App]:
        """Send several at once."""
        return [self.ask(cell, **changes) for cell in cells]

    def plain(self) -> Reply:
        """A request that is no cell."""
        self.sent += 1
        return self.gate.chat()

    # ── what there is to see ───────────────────────────────────────────────────

    def arrived(self, app: App) -> bool:
        """Whether the app's request has reached the mock."""
        return any(got["headers"].get("user-agent") == app.name for got in self.gate.mock_received())

    def rows(self) -> list[dict[str, Any]]:
        """All rows so far, some columns of them; none while ingest can't answer."""
        with contextlib.suppress(SystemDownError, DeclinedError):
            return self.gate.query(
                "SELECT user_agent, key_name, provider, outcome, termination, error_code, witness FROM audit.requests LIMIT 5000"
            )
        return []

    def rowed(self, apps: Sequence[App], seconds: float = 30) -> None:
        """Wait until each of these has a row."""
        names = {app.name for app in apps}
        eventually(lambda: names <= {row["user_agent"] for row in self.rows()}, f"rows of {sorted(names)}", seconds)

    def at_rest(self) -> Mapping[str, Any]:
        """Wait until nothing is under way and nothing waits to be stored; ingest's counts then."""

        def counts() -> Mapping[str, Any] | None:
            with contextlib.suppress(SystemDownError, DeclinedError):
                found: Mapping[str, Any] = self.gate.client.call("GET", STATS)
                waiting = found["spooled"] + found["open"] + found["unread_bytes"] + (found["envoy_active"] or 0)
                return found if not waiting and found["stored_since"] == found["envoy"] else None
            return None

        with contextlib.suppress(AssertionError):  # what is wrong then is for the test to say
            eventually(counts, "everything stored", 20)
        return dict(self.gate.client.call("GET", STATS))

    def observed(self, cells: Sequence[Cell]) -> Observed:
        """Wait for the rows, and put everything together."""
        again = self.plain()
        seen = {cell.name: self.apps[cell.name].saw() for cell in cells}
        with contextlib.suppress(AssertionError):  # a row that is missing is for its cell's test to tell
            self.rowed(list(self.apps.values()))
        stats = self.at_rest()
        rows, received = self.rows(), self.gate.mock_received()
        return Observed(
            cells={cell.name: _outcome(cell, seen[cell.name], rows, received) for cell in cells},
            leaks=[got["headers"].get("user-agent", "") for got in received if _leaks(got)],
            unrecorded=_unrecorded(received, rows),
            stats=stats,
            envoy=self.gate.envoy_counter(),
            sent=self.sent,
            still_active=self.gate.envoy_counter("cluster.provider/local.upstream_rq_active"),
            serves_again=f"{again.status}",
        )


def _outcome(cell: Cell, saw: str, rows: Sequence[Mapping[str, Any]], received: Sequence[Mapping[str, Any]]) -> Outcome:
    mine = [row for row in rows if row["user_agent"] == cell.name]
    words = [", ".join(filter(None, (row["outcome"], row["termination"], row["error_code"]))) for row in mine]
    witness = " and ".join(row["witness"] for row in mine)
    if cell.expected.witness == "either" and witness in {"envoy", "extproc"}:
        witness = "either"
    provider = sum(got["headers"].get("user-agent") == cell.name for got in received)
    return Outcome(saw, provider, " AND ".join(words) or "no row", witness)


def _leaks(got: Mapping[str, Any]) -> bool:
    """Whether a virtual key is anywhere in a request as the provider got it, or its credential is not the provider's own."""
    everything = repr(got)
    return "pcl_" in everything or got["headers"].get("authorization") != f"Bearer {PROVIDER_SECRET}"


def _unrecorded(received: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Requests at the provider without a row that knows the key: such a row stems from the verdict's intent."""
    known = [row["user_agent"] for row in rows if row["key_name"] and row["provider"] == "local"]
    names = [got["headers"].get("user-agent", "") for got in received]
    return sorted({name for name in names if names.count(name) > known.count(name)})


# ── groups ────────────────────────────────────────────────────────────────────


def observe(group: str) -> Observed:
    """Run a group on a stack of its own."""
    return _GROUPS[group](of(group))


def _provider(cells: Sequence[Cell]) -> Observed:
    closed = f"  closed: {{dialect: openai, url: http://127.0.0.1:{free_port()}/v1, insecure: true}}\ncredentials:\n"
    declared = DECLARED.replace("credentials:\n", closed + "  closed-main: {provider: closed, secret: {env: E2E_PROVIDER_SECRET}}\n")
    unreachable = "models:\n  unreachable: {provider: closed, credential: closed-main, price: {input: 1, output: 1}}\n"
    declared = declared.replace("models:\n", unreachable, 1)
    declared = declared.replace('models: [cheap, "gpt-4o*"]', 'models: ["*"]')
    with Stack(declared, settings=f"limits: {{upstream_timeout_s: {UPSTREAM_TIMEOUT_S}}}\n") as gate:
        run = Run(gate)
        for cell in cells:
            gate.script(cell.how.get("step", {}))
            _leave(run, run.ask(cell, cut=20 if cell.how.get("leaves") == "sending" else 0), cell.how.get("leaves"))
            run.apps[cell.name].saw()
            if not cell.expected.provider:
                gate.forget_steps()  # the step of a request that never arrived
        return run.observed(cells)


def _leave(run: Run, app: App, when: str | None) -> None:
    if when == "sending":
        eventually(lambda: run.gate.envoy_counter("http.gateway.downstream_rq_active") > 0, "Envoy has the request's head")
        app.leave()
    elif when == "sent":
        eventually(lambda: run.arrived(app), "the request at the provider")
        app.leave()
    elif when == "reading":
        if "stream" in app.name.rsplit("-", 1):
            app.piece.wait(20)
        eventually(lambda: run.arrived(app), "the request at the provider")
        app.leave()


def _extproc(cells: Sequence[Cell]) -> Observed:
    with Stack() as gate:
        run = Run(gate)
        by = _by(cells, "do")
        with gate.without("extproc"):
            run.rowed(_done(run.ask_all(by["absent"])))
        with gate.paused("extproc"):
            run.rowed(_done(run.ask_all(by["hung"])))
        # Each piece comes in time to be seen by an extproc that has stopped meanwhile.
        gate.script({"repeat": 2, "chunks": [EVENT] * 4, "chunk_delay_ms": 700})
        apps = run.ask_all(by["hangs"])
        _under_way(run, apps)
        with gate.paused("extproc"):
            run.rowed(_done(apps))
        gate.forget_steps()
        gate.script({"repeat": 2, "fault": "stall_mid"})
        apps = run.ask_all(by["dies"])
        _under_way(run, apps)
        gate.back("extproc", gate.kill("extproc"))
        run.rowed(_done(apps))
        return run.observed(cells)


def _under_way(run: Run, apps: Sequence[App]) -> None:
    """Wait until the provider has them all, and the streamed ones have begun to come."""
    eventually(lambda: all(run.arrived(app) for app in apps), "the requests at the provider")
    for app in apps:
        if app.name.endswith("stream"):
            assert app.piece.wait(20), "no piece of the stream came"


def _done(apps: Sequence[App]) -> Sequence[App]:
    for app in apps:
        app.saw()
    return apps


def _by(cells: Sequence[Cell], name: str) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(str(cell.how[name]), []).append(cell)
    return found


def _processor(cells: Sequence[Cell]) -> Observed:
    with Stack() as gate, rogue(gate.data / "run" / "extproc.sock") as between:
        run = Run(gate)
        between.faults = {cell.name: _fault(cell) for cell in cells}
        gate.script({"repeat": 0, "chunk_delay_ms": 50})
        _done(run.ask_all(cells))
        return run.observed(cells)


def _fault(cell: Cell) -> Fault:
    stage, _, later = str(cell.how["stage"]).partition(" ")
    return Fault(str(cell.how["fault"]), stage, bool(later))


VERDICT: Final = "\nverdict := {"
ODD_RULES: Final = """
_odd if input.request.model in {"undefined", "malformed"}

verdict := {"allow": "perhaps"} if input.request.model == "malformed"

verdict := _usual if not _odd

_usual := {"""

COSTLY: Final = """package gateway.rules.matrix.odd

# METADATA
# custom:
#   code: odd
#   message: No.
deny contains {"code": "odd"} if {
	input.request.model == "failing"
	1 / (input.request.bytes - input.request.bytes) > 0
}

deny contains {"code": "odd"} if {
	input.request.model == "slow"
	numbers := [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
	every_one := [1 | some a in numbers; some b in numbers; some c in numbers; some d in numbers; some e in numbers; some f in numbers]
	count(every_one) < 0
}
"""


def _policy(cells: Sequence[Cell]) -> Observed:
    folder = short_folder()
    try:
        policies = copied(folder, {"gateway/rules/matrix/odd/odd.rego": COSTLY})
        main = policies / "gateway" / "main.rego"
        rules = main.read_text("utf-8")
        assert rules.count(VERDICT) == 1, "main.rego has changed: mend ODD_RULES"
        main.write_text(rules.replace(VERDICT, ODD_RULES), "utf-8")
        more = "".join(f"  {cell.how['model']}: {{provider: local, credential: local-main}}\n" for cell in cells if not cell.stream)
        declared = DECLARED.replace("models:\n", f"models:\n{more}", 1).replace('models: [cheap, "gpt-4o*"]', 'models: ["*"]')
        with Stack(declared, settings=f"policy: embedded://{policies}\n") as gate:
            run = Run(gate)
            for cell in cells:
                run.ask(cell).saw()
            return run.observed(cells)
    finally:
        shutil.rmtree(folder)


SPOOL_BYTES: Final = 1 << 20
"""The smallest limit there may be."""


def _audit(cells: Sequence[Cell]) -> Observed:
    with Stack(settings=f"spool: {{max_bytes: {SPOOL_BYTES}}}\n") as gate:
        run, spool = Run(gate), gate.data / "spool" / "extproc-0"
        by = _by(cells, "do")
        with _full_disk(gate):
            run.rowed(_done(run.ask_all(by["disk"])))  # the spool can't take the row, the access log can
        _disk_fills_later(run, by["disk, later"])
        _ingest_dies(run, by["dies"])
        with gate.without("ingest"):
            _done(run.ask_all(by["down"]))
            _fill(run)
            _done(run.ask_all(by["limit"]))
        # Each refusal leaves a row that waits for room, so asking is not the way to find out.
        eventually(lambda: sum(file.stat().st_size for file in spool.glob("*.seg")) < SPOOL_BYTES // 2, "room in the spool")
        return run.observed(cells)


def _disk_fills_later(run: Run, cells: Sequence[Cell]) -> None:
    apps = _slowly_answered(run, cells)
    with _full_disk(run.gate):
        _done(apps)


def _ingest_dies(run: Run, cells: Sequence[Cell]) -> None:
    apps = _slowly_answered(run, cells)
    run.gate.back("ingest", run.gate.kill("ingest"))
    _done(apps)


SLOW: Final[Mapping[str, Mapping[str, Any]]] = {
    "unary": {"chunk_sizes": [200], "chunk_delay_ms": 700},
    "stream": {"text": ["one ", "two ", "three "], "chunk_delay_ms": 300},
}


def _slowly_answered(run: Run, cells: Sequence[Cell]) -> list[App]:
    """Ask, and come back while the answers are coming."""
    apps = []
    for cell in cells:
        run.gate.script(SLOW[cell.mode])
        apps.append(run.ask(cell))
        _under_way(run, apps)
    return apps


def _fill(run: Run) -> None:
    """Ask until the spool is at its limit."""
    for _ in range(2000):
        if run.plain().status == 503:
            return
    raise AssertionError("the spool has no limit")


@contextlib.contextmanager
def _full_disk(gate: Stack) -> Iterator[None]:
    """No file of extproc can grow: each write is refused as on a full disk."""
    pid = gate.pids["extproc"]
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


_GROUPS: Final[Mapping[str, Callable[[Sequence[Cell]], Observed]]] = {
    "provider": _provider,
    "extproc": _extproc,
    "processor": _processor,
    "policy": _policy,
    "audit": _audit,
}
