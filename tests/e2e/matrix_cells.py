"""What is broken, when, and what must come of it: the cells of the failure matrix, as a table.

A cell is one request through real Envoy while one part fails. `matrix_run.py` makes the failures happen,
`test_failure_matrix.py` holds what was seen to this table, `matrix_table.py` prints it and keeps docs/failure-matrix.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MODES: Final = ("unary", "stream")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is seen from outside. `app`: in words, see matrix_app.py. `provider`: requests that reached the mock.

    `row`: `outcome, termination, error_code`, as the one row has them. `witness`: who wrote the row.
    """

    app: str
    provider: int
    row: str
    witness: str = "extproc"


@dataclass(frozen=True, slots=True)
class Cell:
    """One request. `how` is for the part of matrix_run.py that arranges this group's failures."""

    group: str
    part: str
    failure: str
    when: str
    mode: str
    expected: Outcome
    how: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Unique; the request carries it as its user agent, so that log, row and mock can be told apart."""
        words = f"{self.part} {self.failure} {self.when} {self.mode}"
        return "-".join("".join(letter if letter.isalnum() else " " for letter in words.lower()).split())

    @property
    def stream(self) -> bool:
        """Whether the app asks for an event stream."""
        return self.mode == "stream"


# ── what the app may see ──────────────────────────────────────────────────────

WHOLE: Final = {"unary": "200, whole", "stream": "200, whole stream"}
RESET: Final = "200, pieces, then a reset"
CLOSED: Final = "503 gate_unavailable"
FAILED: Final = "502 upstream_error"
LATE: Final = "504 upstream_timeout"

SERVED: Final = "served, complete"
REFUSED_BY_ENVOY: Final = "refused, gate_died, gate_unavailable"
CRASHED: Final = "crashed, crashed, gate_unavailable"
GATE_DIED: Final = "crashed, gate_died, gate_unavailable"


def _failed(termination: str, code: str = "upstream_error") -> str:
    return f"failed, {termination}, {code}"


def _event(code: str) -> str:
    return f"200, pieces, then the event {code}"


def _both(group: str, part: str, failure: str, when: str, expected: Outcome, **how: Any) -> Iterator[Cell]:
    for mode in MODES:
        yield Cell(group, part, failure, when, mode, expected, how)


def _each(group: str, part: str, failure: str, when: str, unary: Outcome, stream: Outcome, **how: Any) -> Iterator[Cell]:
    yield Cell(group, part, failure, when, "unary", unary, how)
    yield Cell(group, part, failure, when, "stream", stream, how)


# ── the provider fails ────────────────────────────────────────────────────────

BEFORE_ANSWER: Final = "before its answer"
MID_ANSWER: Final = "in the middle of its answer"
UPSTREAM_TIMEOUT_S: Final = 1
"""`limits.upstream_timeout_s` of the stack for these cells."""

EVENT: Final = 'data: {"choices":[{"index":0,"delta":{"content":"Good "}}]}\n\n'
ODD_EVENTS: Final = [EVENT, 'data: {"choices": [nonsense\n\n']
HALF: Final[Mapping[str, Any]] = {"chunks": [EVENT, EVENT], "chunk_delay_ms": 300, "after_bytes": len(EVENT) + 1}
"""An event that has left before the next one breaks off after its first byte."""


def _provider() -> Iterator[Cell]:
    def cells(failure: str, when: str, unary: Outcome, stream: Outcome | None = None, **step: Any) -> Iterator[Cell]:
        return _each("provider", "provider", failure, when, unary, stream or unary, step=step)

    reset = Outcome(FAILED, 1, _failed("upstream_reset"))
    garbage = Outcome(FAILED, 1, _failed("upstream_garbage"))
    status = Outcome(FAILED, 1, _failed("upstream_status"))
    refusing = Outcome(FAILED, 0, _failed("upstream_unreachable"))
    yield from _both("provider", "provider", "refuses connections", BEFORE_ANSWER, refusing, model="unreachable")
    yield from cells("resets", BEFORE_ANSWER, reset, fault="reset")
    yield from cells("closes", BEFORE_ANSWER, reset, fault="close")
    yield from cells("stalls", BEFORE_ANSWER, Outcome(LATE, 1, _failed("upstream_timeout", "upstream_timeout")), fault="stall")
    yield from cells("answers no HTTP", BEFORE_ANSWER, garbage, fault="garbage")
    yield from cells("answers compressed, unasked", BEFORE_ANSWER, garbage, fault="encoded")
    yield from cells("answers 500", BEFORE_ANSWER, status, status=500)
    yield from cells("answers 401", BEFORE_ANSWER, status, status=401)
    yield from cells("answers 429", BEFORE_ANSWER, Outcome("429 mock_429", 1, _failed("upstream_status")), status=429)
    yield from cells("redirects", BEFORE_ANSWER, status, status=302, headers={"location": "http://127.0.0.1:1/"})
    broken = Outcome(RESET, 1, _failed("upstream_reset"))
    yield from cells("resets", MID_ANSWER, reset, broken, fault="reset_mid", **HALF)
    yield from cells("closes", MID_ANSWER, reset, broken, fault="truncated", **HALF)
    late = _failed("upstream_timeout", "upstream_timeout")
    yield from cells("stalls", MID_ANSWER, Outcome(LATE, 1, late), Outcome(RESET, 1, late), fault="stall_mid")
    yield from cells(
        "answers garbage",
        MID_ANSWER,
        garbage,
        Outcome("200, the event upstream_error", 1, _failed("upstream_garbage")),
        fault="garbage_body",
    )
    yield from cells(
        "sends an event of garbage",
        MID_ANSWER,
        garbage,
        Outcome(_event("upstream_error"), 1, _failed("upstream_garbage")),
        chunks=ODD_EVENTS,
    )
    yield from _served("provider", "provider", "sends trailers", "after its answer", step={"trailers": {"x-checksum": "1"}})


def _served(group: str, part: str, failure: str, when: str, **how: Any) -> Iterator[Cell]:
    for mode in MODES:
        yield Cell(group, part, failure, when, mode, Outcome(WHOLE[mode], 1, SERVED), how)


# ── the app goes away ─────────────────────────────────────────────────────────


def _app() -> Iterator[Cell]:
    row = "aborted, client_gone"
    yield from _both("provider", "app", "goes away", "in the middle of its request", Outcome("left", 0, row, "extproc"), leaves="sending")
    yield from _both("provider", "app", "goes away", BEFORE_ANSWER, Outcome("left", 1, row), leaves="sent", step={"fault": "stall"})
    yield from _both("provider", "app", "goes away", MID_ANSWER, Outcome("left", 1, row), leaves="reading", step={"fault": "stall_mid"})


# ── extproc dies, hangs or is not there ───────────────────────────────────────


def _extproc() -> Iterator[Cell]:
    refused = Outcome(CLOSED, 0, REFUSED_BY_ENVOY, "envoy")
    yield from _both("extproc", "extproc", "is not there", "before the request", refused, do="absent")
    yield from _both("extproc", "extproc", "hangs (SIGSTOP)", "before the request", refused, do="hung")
    yield from _each(
        "extproc", "extproc", "hangs (SIGSTOP)", MID_ANSWER,
        Outcome(CLOSED, 1, GATE_DIED, "envoy"), Outcome(RESET, 1, GATE_DIED, "envoy"), do="hangs",
    )  # fmt: skip
    yield from _each(
        "extproc", "extproc", "is killed (SIGKILL)", MID_ANSWER,
        Outcome(CLOSED, 1, CRASHED, "envoy"), Outcome(RESET, 1, CRASHED, "envoy"), do="dies",
    )  # fmt: skip


# ── extproc answers wrongly ───────────────────────────────────────────────────

# No trailers among them: Envoy's HTTP/1.1 to providers drops them, so extproc is never shown any.
STAGES: Final[Mapping[str, str]] = {
    "request_headers": "at the request's head",
    "request_body": "at the request's body",
    "response_headers": "at the answer's head",
    "response_body": "at the answer's body",
    "response_body later": "later in the answer's body",
}
FAULTS: Final[Mapping[str, str]] = {
    "close": "closes its stream cleanly",
    "garbage": "answers garbage",
    "other": "answers another message",
    "late": "answers late",
}


def _processor() -> Iterator[Cell]:
    for fault, failure in FAULTS.items():
        for stage, when in STAGES.items():
            for mode in MODES:
                if mode == "stream" or stage != "response_body later":
                    yield Cell("processor", "extproc", failure, when, mode, _misled(stage, mode), {"fault": fault, "stage": stage})


def _misled(stage: str, mode: str) -> Outcome:
    if stage == "request_headers":  # the real extproc has never heard of it
        return Outcome(CLOSED, 0, REFUSED_BY_ENVOY, "envoy")
    if stage == "request_body":
        return Outcome(CLOSED, 0, REFUSED_BY_ENVOY)
    if mode == "unary" or stage == "response_headers":
        return Outcome(CLOSED, 1, GATE_DIED)
    return Outcome(RESET if stage.endswith("later") else "200, then a reset", 1, GATE_DIED)


# ── the rules fail ────────────────────────────────────────────────────────────


def _policy() -> Iterator[Cell]:
    refused = Outcome("503 policy_unavailable", 0, "refused, refused, policy_unavailable")
    for model, failure in (
        ("failing", "evaluation fails"),
        ("undefined", "verdict is undefined"),
        ("malformed", "verdict is malformed"),
        ("slow", "verdict is late"),
    ):
        yield from _both("policy", "policy", failure, "before the request is sent on", refused, model=model)


# ── nothing can be put on record ──────────────────────────────────────────────


def _audit() -> Iterator[Cell]:
    row = "refused, refused, audit_unavailable"
    witnessed, refused = Outcome("503 audit_unavailable", 0, row, "envoy"), Outcome("503 audit_unavailable", 0, row, "either")
    yield from _both("audit", "spool", "disk is full", "before the request is sent on", witnessed, do="disk")
    yield from _served("audit", "spool", "disk is full", MID_ANSWER, do="disk, later")
    yield from _both("audit", "spool", "is at its limit, ingest down", "before the request is sent on", refused, do="limit")
    yield from _served("audit", "ingest", "is down", "before the request", do="down")
    yield from _served("audit", "ingest", "dies", MID_ANSWER, do="dies")


CELLS: Final = (*_provider(), *_app(), *_extproc(), *_processor(), *_policy(), *_audit())
GROUPS: Final = tuple(dict.fromkeys(cell.group for cell in CELLS))


def of(group: str) -> list[Cell]:
    """The cells of one group, in the order of the table."""
    return [cell for cell in CELLS if cell.group == group]
