"""`portcullis demo`: the whole system with a mock provider, three requests, and the rows they leave."""

from __future__ import annotations

import asyncio
import secrets
import sys
from pathlib import Path
from typing import Any, Final

from contracts.errors import Unusable
from contracts.settings import Settings
from controlplane.admin_token import token_file
from controlplane.cli.client import Client, path_of
from controlplane.demo_requests import Outcome, Provider, outcomes
from controlplane.supervisor import System, supervise
from controlplane.supervisor.part import Plan
from controlplane.supervisor.probe import answers

KEY: Final = "demo"
FILE: Final = Path(__file__).with_name("demo.yaml")
_PORT_IN_FILE: Final = "127.0.0.1:9901"
_CREDENTIAL: Final = "local-main"
_LONGEST_WAIT_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.05
_COLUMNS: Final = (
    "outcome", "status", "model_asked", "reasons", "findings_prompt", "actions", "input_tokens", "output_tokens", "cost_nanousd",
)  # fmt: skip


class MockPart:
    """The mock provider as a part of the system, on whichever port is free."""

    def __init__(self, run: Path) -> None:
        self._told = run / "mock.port"  # swept away with the sockets: see supervisor/checks.py

    def plan(self) -> Plan:
        """How it is run."""
        command = [sys.executable, "-m", "controlplane.mock", "--port", "0", "--port-file", str(self._told)]
        return Plan(name="mock", command=command, address="the mock provider", ready=self._ready)

    @property
    def port(self) -> int:
        """Where it listens, once it is ready."""
        return int(self._told.read_text("utf-8"))

    async def _ready(self) -> bool:
        return self._told.exists() and await answers(("127.0.0.1", self.port), "/__received")


class Demo:
    """What is done once the system is up."""

    def __init__(self, mock: MockPart, *, once: bool) -> None:
        self._mock = mock
        self._once = once
        self.finished = False

    async def show(self, system: System) -> int | None:
        """Three requests and their rows; then None, to go on, or with `once` the exit code."""
        provider = Provider(self._mock.port, secrets.token_urlsafe(24))
        client = _client(system)
        key = await asyncio.to_thread(_govern, client, provider)
        system.told |= {"mock": provider.url, "key": key}
        system.write_ready()
        gateway = f"http://{system.settings.gateway.listen}"
        shown = await asyncio.to_thread(outcomes, gateway, key, provider)
        rows = await _rows(client, [outcome.id for outcome in shown])
        good = [_tell(system, number, outcome, rows.get(outcome.id)) for number, outcome in enumerate(shown, 1)]
        _tell_rows(system, shown, rows)
        self.finished = True
        if self._once:
            return 0 if all(good) else 1
        _tell_how(system, gateway, key, provider)
        return None


def main(settings: Settings, config: Path | None, *, once: bool) -> int:
    """`demo`: until Ctrl-C, or with `once` until the three requests are through; 1 where one did not do what it says."""
    mock = MockPart(settings.run)
    demo = Demo(mock, once=once)
    return supervise(settings, config, demo.show, [mock.plan()]) or int(once and not demo.finished)


def _client(system: System) -> Client:
    token = token_file(system.settings.data).read_text("utf-8").strip()
    return Client(f"http://{system.settings.control.listen}", token)


def _govern(client: Client, provider: Provider) -> str:
    """Apply the demo's file; a fresh virtual key.

    Raises Unusable rather than take away what another file declared.
    """
    text = FILE.read_text("utf-8").replace(_PORT_IN_FILE, f"127.0.0.1:{provider.port}")
    planned = _apply(client, text, provider, dry_run=True)
    if any(change["sign"] == "-" or (change["kind"] == "organisation" and change["sign"] == "~") for change in planned["changes"]):
        raise Unusable("The data folder holds another system's keys and models, which the demo would replace; name another with --data.")
    issued = _apply(client, text, provider)["keys"]
    if KEY in issued:
        return str(issued[KEY])
    # A key's secret can't be shown again: the one of an earlier run is replaced.
    return str(client.once("POST", path_of("keys", KEY, "rotate"), {"grace_s": 0})["secret"])


def _apply(client: Client, text: str, provider: Provider, *, dry_run: bool = False) -> Any:
    body = {"document": text, "file": FILE.name, "secrets": {_CREDENTIAL: provider.secret}, "dry_run": dry_run}
    return client.once("POST", path_of("apply"), body)


async def _rows(client: Client, ids: list[str]) -> dict[str, dict[str, Any]]:
    """The rows of the requests, by id, as soon as all are stored."""
    named = ", ".join(f"'{each}'" for each in ids if each)
    sql = f"SELECT toString(id) AS id, {', '.join(_COLUMNS)} FROM audit.requests WHERE id IN ({named})"  # noqa: S608 - ids that the gate itself made
    found: dict[str, dict[str, Any]] = {}
    clock = asyncio.get_running_loop().time
    end = clock() + _LONGEST_WAIT_S
    while len(found) < len(ids) and clock() < end:
        answer = await asyncio.to_thread(client.call, "POST", path_of("audit", "query"), {"sql": sql})
        rows = [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]
        found = {row["id"]: row for row in rows}
        await asyncio.sleep(0 if len(found) == len(ids) else _LOOK_EVERY_S)
    return found


def _tell(system: System, number: int, outcome: Outcome, row: dict[str, Any] | None) -> bool:
    """One request in a few short lines; whether it and its row are what they should be."""
    problem = outcome.problem or _row_problem(outcome, row)
    system.screen.say()
    system.screen.say(f"{number}. {outcome.title}")
    for line in outcome.lines:
        system.screen.say(f"   {line}")
    if problem:
        system.screen.say(f"   NOT AS IT SHOULD BE: {problem}")
    return not problem


def _row_problem(outcome: Outcome, row: dict[str, Any] | None) -> str:
    if row is None:
        return "it left no audit row"
    wrong = [f"{name} is {row[name]!r}, not {value!r}" for name, value in outcome.row.items() if row[name] != value]
    return f"its audit row is wrong: {'; '.join(wrong)}" if wrong else ""


def _tell_rows(system: System, shown: list[Outcome], rows: dict[str, dict[str, Any]]) -> None:
    table = [list(_COLUMNS), *([_cell(rows[each.id][name]) for name in _COLUMNS] for each in shown if each.id in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(_COLUMNS))]
    system.screen.say()
    system.screen.say("The audit rows they left:")
    for line in table:
        system.screen.say("   " + "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value)


def _tell_how(system: System, gateway: str, key: str, provider: Provider) -> None:
    system.screen.say(f"""
It stays up until Ctrl-C. Point any OpenAI SDK at it:

   from openai import OpenAI
   client = OpenAI(base_url="{gateway}/v1", api_key="{key}")
   client.chat.completions.create(model="tiny", messages=[{{"role": "user", "content": "Hello"}}])

What the provider got:  curl {provider.url}/__received
What was recorded:      portcullis audit tail --data {system.settings.data}""")
