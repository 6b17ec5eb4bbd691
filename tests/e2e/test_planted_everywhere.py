"""The whole gate, an address at every text of every shape: neither the provider nor the app sees one, and each exchange has its row."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from plant import Line, gate_of, lines, of_answers, of_requests, of_streams, own_gate
from shapes.passing import ROUTES
from stack import Stack, eventually

from extproc.core import dialects


@pytest.fixture(scope="module")
def planted() -> Iterator[tuple[Stack, list[Line]]]:
    """The gate after all has been planted, and the table."""
    with own_gate() as stack:
        yield stack, list(lines(gate_of(stack)))


def test_nobody_sees_a_planted_address(planted: tuple[Stack, list[Line]]) -> None:
    """Plain and escaped, in JSON in JSON, in whole answers, errors and events, split over events and over chunks; nothing is refused."""
    _, table = planted
    assert {line.route for line in table} == {route.name for route in ROUTES}
    for line in table:
        assert not line.by_provider, line
        assert not line.by_client, line
        assert not line.refused, line
        assert line.planted > line.asked / 2, line


def test_each_exchange_has_its_row(planted: tuple[Stack, list[Line]]) -> None:
    """As many rows as requests, route by route."""
    stack, table = planted
    asked: dict[str, int] = {}
    for line in table:
        asked[line.route] = asked.get(line.route, 0) + line.asked

    def counted() -> bool:
        rows = stack.query("SELECT route, count() AS n FROM audit.requests WHERE key_name = 'app' GROUP BY route")
        return {row["route"]: int(row["n"]) for row in rows} == asked

    eventually(counted, f"a row for each of {asked}")


def test_whoever_may_see_them_does(planted: tuple[Stack, list[Line]]) -> None:
    """The other way round: with a key whose profile only notes what is found, every address arrives, so the table can tell."""
    stack, _ = planted
    gate = gate_of(stack, "open")
    chat = dialects.named("chat")
    gate.received()
    prompts, answers, streams = of_requests(gate, chat), of_answers(gate, chat), of_streams(gate, chat)
    assert len(prompts.by_provider) == prompts.planted
    assert len(answers.by_client) == answers.planted
    assert len(streams.by_client) == streams.planted
