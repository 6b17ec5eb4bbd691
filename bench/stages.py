"""Where extproc's time goes: each stage of one unary exchange, timed alone in this process, in µs."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playbook import KEY_TEXT, NOW, PROVIDER_SECRET, SNAPSHOT, WORLD, completion
from playbook import head as playbook_head

from contracts.audit import Intent
from contracts.settings import Spool as SpoolSettings
from extproc.core import body, credentials, headers, keys, prompt
from extproc.core.answer import buffered
from extproc.core.dialects import named
from extproc.core.effects import OpenRoute, PassHead
from extproc.core.exchange import policy_input
from extproc.core.places import search
from extproc.core.trail import Trail
from extproc.core.world import Asker
from extproc.edge import driver, envoy_wire
from extproc.edge.policy_embedded import EmbeddedPolicy
from extproc.edge.proto import ext_proc_pb2 as pb
from extproc.edge.spool import Spool

ROOT = Path(__file__).resolve().parent.parent
TEXT = "Please write a short and polite answer to a customer who asks when the parcel will arrive. " * 4
ROUTE = named("chat")


def timed(step: Callable[[], Any], *, times: int = 2000, rounds: int = 5) -> float:
    """µs for one call: the best round's mean, which is the one least disturbed."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter_ns()
        for _ in range(times):
            step()
        best = min(best, (time.perf_counter_ns() - began) / times / 1000)
    return round(best, 2)


def _messages() -> tuple[bytes, bytes, bytes, bytes]:
    def shown(*pairs: tuple[str, str]) -> pb.HttpHeaders:
        return pb.HttpHeaders(headers=pb.HeaderMap(headers=[pb.HeaderValue(key=key, raw_value=value.encode()) for key, value in pairs]))

    asked = pb.ProcessingRequest(
        request_headers=shown(
            (":authority", "127.0.0.1:8080"), (":path", "/v1/chat/completions"), (":method", "POST"), (":scheme", "http"),
            ("authorization", f"Bearer {KEY_TEXT}"), ("content-type", "application/json"), ("accept", "application/json"),
            ("user-agent", "OpenAI/Python 3.54.0"), ("x-stainless-lang", "python"), ("x-forwarded-proto", "http"),
            ("x-request-id", "5c2e9b7d-1f00-4d04-8a11-0199f3b27c1e"),
            ("content-length", "450"),
        )
    )  # fmt: skip
    asked.attributes[envoy_wire.ATTRIBUTES].update(
        {"request.id": "5c2e9b7d-1f00-4d04-8a11-0199f3b27c1e", "source.address": "127.0.0.1:5000"}
    )
    raw = json.dumps({"model": "cheap", "messages": [{"role": "user", "content": TEXT}]}).encode()
    answered = pb.ProcessingRequest(
        response_headers=shown((":status", "200"), ("content-type", "application/json"), ("content-length", "300"))
    )
    answered.attributes[envoy_wire.ATTRIBUTES].update({"response.code_details": "via_upstream", "response.flags": 0.0})
    said = pb.ProcessingRequest(response_body=pb.HttpBody(body=completion(TEXT[:70]).data, end_of_stream=True))
    body_message = pb.ProcessingRequest(request_body=pb.HttpBody(body=raw, end_of_stream=True))
    return asked.SerializeToString(), body_message.SerializeToString(), answered.SerializeToString(), said.SerializeToString()


class _Sink:
    """A stream that is only counted on."""

    def __init__(self) -> None:
        self.state: Any = None

    def fail(self, *why: object) -> None:
        """The exchange must not fail."""
        raise SystemExit(f"the bench's own exchange failed: {why}")


class _Opened:
    def open(self, _snapshot: object, _name: str) -> Any:
        """The credential, as a plane keeps it opened."""
        return PROVIDER_SECRET


def measured() -> dict[str, float]:
    """Stage → µs; `whole exchange` is all four messages through the driver, without the socket."""
    policy = EmbeddedPolicy.load(ROOT / "policies")
    with tempfile.TemporaryDirectory(prefix="pcl-") as folder:
        return _stages(policy, Spool(Path(folder) / "spool", SpoolSettings()))


def _stages(policy: EmbeddedPolicy, spool: Spool) -> dict[str, float]:
    first, second, third, fourth = _messages()
    head = envoy_wire.request_head(first, 0, NOW, *driver.fresh_ids())
    raw = pb.ProcessingRequest.FromString(second).request_body.body
    document = body.read(raw, max_depth=64)
    key = next(iter(SNAPSHOT.keys.values()))
    model, profile = SNAPSHOT.models["cheap"], SNAPSHOT.profiles["strict"]
    reading = prompt.understood(ROUTE, raw, 64)
    asker = Asker(key, SNAPSHOT.environments["dev"], profile, "")
    question = policy_input(WORLD, head, ROUTE, model, asker, reading, len(raw))
    verdict = policy.decide(question)
    trail = Trail.start(playbook_head(), SNAPSHOT, "extproc-0", "0")
    opened = OpenRoute("local", "chat", "authorization", "Bearer ", PROVIDER_SECRET, raw)
    answer = pb.ProcessingRequest.FromString(fourth).response_body.body
    gate = driver.Gate(lambda: WORLD, policy, spool, _Opened())

    def whole() -> None:
        stream = _Sink()
        for message in (first, second, third, fourth):
            gate.message(message, stream)  # type: ignore[arg-type] # a sink is all that is asked for
        gate.ended(stream)  # type: ignore[arg-type] # as above

    def recorded() -> None:
        spool.intent(Intent(row=trail.row))
        spool.row(trail.row)

    pass_head = PassHead(headers.ASK, headers.strip(head.headers))
    return {
        "read the head's message": timed(lambda: envoy_wire.request_head(first, 0, NOW, "a" * 36, "b" * 36)),
        "make two ids": timed(driver.fresh_ids),
        "key: parse, compare, look up": timed(lambda: keys.known(WORLD, head)),
        "headers: allow-list": timed(lambda: headers.strip(head.headers)),
        "write the head's answer": timed(lambda: envoy_wire.reply(pass_head, head.id)),
        "body: parse and examine": timed(lambda: body.read(raw, max_depth=64)),
        "body: the call": timed(lambda: ROUTE.dialect.call(document)),
        "find personal data": timed(lambda: search(document, ROUTE.dialect.structural)),
        "policy input": timed(lambda: policy_input(WORLD, head, ROUTE, model, asker, reading, len(raw))),
        "verdict": timed(lambda: policy.decide(question), times=500),
        "choose the credential": timed(lambda: credentials.open_to(WORLD, model, key)),
        "rename the model": timed(lambda: prompt.cleaned(raw, reading, verdict.actions, [prompt.named("tiny", reading.call)])),
        "intent and row to the spool": timed(recorded, times=500),
        "write the route's answer": timed(lambda: envoy_wire.reply(opened, head.id)),
        "read the answer's head": timed(lambda: envoy_wire.event(third, 0, 0)),
        "read and scan the answer": timed(lambda: buffered(ROUTE, answer, verdict.actions, 64)),
        "whole exchange": timed(whole, times=300),
    }
