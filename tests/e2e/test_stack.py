"""The harness itself: its requests pass Envoy, and what it says is broken is broken."""

from __future__ import annotations

from stack import PROVIDER_SECRET, Stack, alive


def test_requests_pass_envoy(gate: Stack) -> None:
    """Envoy's own counter grows by exactly the requests that the test sends."""
    before = gate.envoy_counter()
    replies = [gate.chat(), gate.chat(model="dear"), gate.chat(stream=True), gate.chat(key="")]
    assert [reply.status for reply in replies] == [200, 403, 200, 401]
    assert gate.envoy_counter() - before == 4
    assert len(gate.mock_received()) == 2


def test_what_the_provider_sees(gate: Stack) -> None:
    """Its own credential and the text without the address; never the virtual key."""
    gate.script({"text": ["Write to ", "ber", "t@example", ".com!"]})
    reply = gate.chat("Ask anna@example.com", stream=True)
    (seen,) = gate.mock_received()
    assert seen["headers"]["authorization"] == f"Bearer {PROVIDER_SECRET}"
    assert "anna@example.com" not in str(seen)
    assert gate.key() not in str(seen)
    assert reply.text == "Write to [EMAIL_ADDRESS]!"
    row = gate.row(reply.id)
    assert (row["outcome"], row["findings_prompt"], row["findings_answer"]) == ("served", {"EMAIL_ADDRESS": 1}, {"EMAIL_ADDRESS": 1})


def test_a_part_can_be_away_and_comes_back(own_gate: Stack) -> None:
    """While extproc is killed nobody starts it, and nothing passes; afterwards it is there again."""
    pid = own_gate.pids["extproc"]
    with own_gate.without("extproc"):
        assert not alive(pid)
        assert own_gate.chat().status in {500, 503}
    assert own_gate.mock_received() == []
    assert own_gate.chat().status == 200


def test_a_body_that_breaks_off_is_told(gate: Stack) -> None:
    """A stream that the provider cuts reaches the app as a broken one."""
    gate.script({"fault": "truncated"})
    reply = gate.chat(stream=True)
    assert reply.broken or b"[DONE]" not in reply.body
