"""A provider whose name leads within, through the whole gate: what the app reads, and what the audit says."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from stack import Stack, eventually


@pytest.fixture
def within(gate: Stack) -> Iterator[Stack]:
    """The gate with a model of a provider whose name leads to this machine, which nobody has allowed."""
    port = urlsplit(gate.mock).port
    gate.run("provider", "add", "within", "--dialect", "openai", "--url", f"http://provider.localhost:{port}/v1", "--insecure")
    gate.run("credential", "set", "within-main", "--provider", "within", stdin="sk-within-of-the-tests")
    gate.run("model", "add", "inside", "--provider", "within", "--price", "input=1,output=1")
    yield gate
    gate.run("provider", "remove", "within", "--cascade")


def test_it_is_502_and_a_row_that_says_so(within: Stack) -> None:
    """The provider was not reached: nothing was sent, and the credential that was meant for it is named."""
    reply = within.chat(model="inside", key="watched")
    assert (reply.status, reply.code) == (502, "upstream_error")
    assert b"127.0.0.1" not in reply.body
    row = within.row(reply.id)
    assert (row["outcome"], row["termination"], row["error_code"]) == ("failed", "upstream_unreachable", "upstream_error")
    assert (row["provider"], row["credential"], row["cost_nanousd"]) == ("within", "within-main", 0)
    assert within.mock_received() == []


def test_two_hundred_at_once_are_refused_alike_and_hold_up_nobody(within: Stack) -> None:
    """Each has its row; a provider that may be reached serves meanwhile."""
    with ThreadPoolExecutor(40) as pool:
        refused = [pool.submit(within.chat, model="inside", key="watched") for _ in range(200)]
        served = [pool.submit(within.chat, key="watched") for _ in range(20)]
        assert {each.result().status for each in refused} == {502}
        assert {each.result().status for each in served} == {200}
    ids = [each.result().id for each in refused]
    listed = ", ".join(f"'{each}'" for each in ids)
    sql = (
        f"SELECT count() AS rows, uniqExact(id) AS ids FROM audit.requests WHERE termination = 'upstream_unreachable' AND id IN ({listed})"  # noqa: S608 - ids that the gate made
    )
    eventually(lambda: within.query(sql) == [{"rows": 200, "ids": 200}], "a row of each")


def test_once_it_is_meant_it_is_served(within: Stack) -> None:
    """`private: true`, on the running gate, and taken back."""
    within.run("provider", "edit", "within", "--private")
    assert within.chat(model="inside", key="watched").status == 200
    within.run("provider", "edit", "within", "--no-private")
    assert within.chat(model="inside", key="watched").status == 502
