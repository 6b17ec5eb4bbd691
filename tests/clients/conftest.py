"""A gate for the clients, and the app that uses one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from app import DECLARED, SETTINGS, App
from asked import outcome
from node_drive import Script, need_node_clients
from roster import PYTHON, Client
from stack import Stack


@pytest.fixture(scope="session")
def clients_gate() -> Iterator[Stack]:
    """One gate for all tests that break nothing; ask for `gate` instead."""
    with Stack(DECLARED, settings=SETTINGS) as stack:
        yield stack


@pytest.fixture
def gate(clients_gate: Stack) -> Stack:
    """The shared gate, its mock provider fresh."""
    clients_gate.forget()
    return clients_gate


@pytest.fixture(scope="session")
def scripts() -> Iterator[Callable[[str], Script]]:
    """Node's scripts by name, each started when it is first asked for."""
    running: dict[str, Script] = {}
    with ExitStack() as ending:

        def script(name: str) -> Script:
            if name not in running:
                need_node_clients()
                running[name] = Script(name)
                ending.callback(running[name].close)
            return running[name]

        yield script


@pytest.fixture(autouse=True)
def no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain sends nothing to LangSmith, whatever the machine is set to."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


@pytest.fixture
def use(scripts: Callable[[str], Script]) -> Callable[[Client, Stack], App]:
    """The app that uses a client with a gate."""

    def app_of(client: Client, gate: Stack) -> App:
        if client.script:
            script = scripts(client.script)
            return App(client, gate, lambda verb, ask: script.run(client.name, verb, ask))
        verbs, describe = PYTHON[client.name]
        return App(client, gate, lambda verb, ask: outcome(verbs[verb], describe, ask))

    return app_of


@pytest.fixture
def app(request: pytest.FixtureRequest, gate: Stack, use: Callable[[Client, Stack], App]) -> App:
    """The app of the client that `having` names."""
    return use(request.param, gate)
