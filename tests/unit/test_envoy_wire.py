"""Replies as bytes: each reads back, with the generated classes, as what was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.secret import Secret
from extproc.core.effects import Cut, OpenRoute, OwnAnswer, PassAnswerHead, PassBody, PassHead, PassTrailers
from extproc.core.events import RequestBody, ResponseBody, ResponseHead, ResponseTrailers
from extproc.edge import envoy_wire
from extproc.edge.proto import ext_proc_pb2 as pb

ID = "0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d"
LONG = st.binary(max_size=70_000)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=200)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=300)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=4).map(tuple)


def read(raw: bytes) -> pb.ProcessingResponse:
    """The message that Envoy reads."""
    return pb.ProcessingResponse.FromString(raw)


def headers_of(mutation: pb.HeaderMutation) -> tuple[tuple[str, str], ...]:
    """What is set, after a look that everything overwrites."""
    assert all(option.append_action == pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD for option in mutation.set_headers)
    return tuple((option.header.key, option.header.raw_value.decode("latin-1")) for option in mutation.set_headers)


def metadata_of(message: pb.ProcessingResponse) -> dict[str, str]:
    """The gate's own dynamic metadata."""
    return {name: value.string_value for name, value in message.dynamic_metadata.fields["portcullis"].struct_value.fields.items()}


@given(new=HEADERS, gone=st.lists(NAMES, max_size=4).map(tuple))
def test_request_head_sets_removes_and_names_the_exchange(new: tuple[tuple[str, str], ...], gone: tuple[str, ...]) -> None:
    """Headers go as told, and the id is in the metadata from the first reply on."""
    message = read(envoy_wire.reply(PassHead(new, gone), ID))

    mutation = message.request_headers.response.header_mutation
    assert (headers_of(mutation), tuple(mutation.remove_headers)) == (new, gone)
    assert metadata_of(message) == {"id": ID}


@given(new=HEADERS, gone=st.lists(NAMES, max_size=4).map(tuple), streamed=st.booleans())
def test_answer_head_chooses_how_the_body_is_shown(new: tuple[tuple[str, str], ...], gone: tuple[str, ...], streamed: bool) -> None:
    """The mode for pieces is there exactly when it is wanted."""
    message = read(envoy_wire.reply(PassAnswerHead(new, gone, streamed), ID))

    mutation = message.response_headers.response.header_mutation
    assert (headers_of(mutation), tuple(mutation.remove_headers)) == (new, gone)
    assert message.HasField("mode_override") == streamed
    assert not streamed or message.mode_override.response_body_mode == pb.ProcessingMode.STREAMED
    assert message.mode_override.request_body_mode == pb.ProcessingMode.NONE


@given(body=st.none() | LONG, new=HEADERS)
def test_answer_body_is_replaced_or_left(body: bytes | None, new: tuple[tuple[str, str], ...]) -> None:
    """None leaves the bytes as they were; an empty body is an empty body."""
    change = read(envoy_wire.reply(PassBody(body, new), ID)).response_body.response

    assert headers_of(change.header_mutation) == new
    assert (change.body_mutation.body if change.HasField("body_mutation") else None) == body


@given(body=st.none() | LONG, secret=st.binary(max_size=300))
def test_open_route_carries_credential_length_and_metadata(body: bytes | None, secret: bytes) -> None:
    """The route opens with provider and route in the metadata; a credential that is empty sets no header."""
    message = read(envoy_wire.reply(OpenRoute("local", "chat", "authorization", "Bearer ", Secret(secret), body), ID))
    change = message.request_body.response

    wanted = [("authorization", b"Bearer " + secret)] if secret else []
    wanted += [("content-length", b"%d" % len(body))] if body is not None else []
    assert [(option.header.key, option.header.raw_value) for option in change.header_mutation.set_headers] == wanted
    assert change.clear_route_cache
    assert (change.body_mutation.body if change.HasField("body_mutation") else None) == body
    assert metadata_of(message) == {"id": ID, "provider": "local", "route": "chat"}


@given(status=st.integers(400, 504), body=LONG, new=HEADERS)
def test_refusal_is_an_immediate_answer_that_names_the_exchange(status: int, body: bytes, new: tuple[tuple[str, str], ...]) -> None:
    """Status, headers and body as told; the details mark it as ours in the access log."""
    message = read(envoy_wire.reply(OwnAnswer(status, new, body), ID))

    said = message.immediate_response
    assert (said.status.code, said.body, headers_of(said.headers)) == (status, body, new)
    assert said.details == "portcullis_refused"
    assert metadata_of(message) == {"id": ID}


def test_trailers_pass_and_a_cut_has_no_bytes() -> None:
    """Trailers are answered; a cut is no message but an error status, so asking for its bytes is a fault."""
    assert read(envoy_wire.reply(PassTrailers(), ID)).HasField("response_trailers")
    with pytest.raises(envoy_wire.UnexpectedError):
        envoy_wire.reply(Cut(), ID)


def shown(*pairs: tuple[str, str]) -> pb.HttpHeaders:
    """Headers as Envoy shows them."""
    return pb.HttpHeaders(
        headers=pb.HeaderMap(headers=[pb.HeaderValue(key=key, raw_value=value.encode("latin-1")) for key, value in pairs])
    )


@pytest.mark.parametrize(("source", "address"), [("10.0.0.7:4711", "10.0.0.7"), ("[2001:db8::1]:4711", "2001:db8::1"), ("", "")])
def test_first_message_is_the_requests_head(source: str, address: str) -> None:
    """Headers, address without port, Envoy's own id, and the ids and times handed in."""
    message = pb.ProcessingRequest(request_headers=shown((":path", "/v1"), ("x", "é")))
    message.attributes[envoy_wire.ATTRIBUTES].update({"request.id": "envoy-1", "source.address": source})

    head = envoy_wire.request_head(message.SerializeToString(), 5, 7, ID, "decision")

    assert (head.at, head.time, head.id, head.decision_id, head.envoy_id, head.source_address) == (5, 7, ID, "decision", "envoy-1", address)
    assert (head.headers, head.end) == (((":path", "/v1"), ("x", "é")), False)


def test_later_messages_are_told_apart() -> None:
    """Each kind becomes its event, with the time waited for it."""
    answered = pb.ProcessingRequest(response_headers=shown((":status", "418")))
    answered.attributes[envoy_wire.ATTRIBUTES].update({"response.code_details": "via_upstream"})
    raw = [
        pb.ProcessingRequest(request_body=pb.HttpBody(body=b"q", end_of_stream=True)),
        answered,
        pb.ProcessingRequest(response_body=pb.HttpBody(body=b"a")),
        pb.ProcessingRequest(response_trailers=pb.HttpTrailers()),
    ]

    events = [envoy_wire.event(message.SerializeToString(), 9, 4) for message in raw]

    assert events == [
        RequestBody(9, b"q", 4),
        ResponseHead(9, 418, ((":status", "418"),), end=False, details="via_upstream", idle=4),
        ResponseBody(9, b"a", end=False, idle=4),
        ResponseTrailers(9, 4),
    ]


def test_message_out_of_place_is_a_fault() -> None:
    """A head where a body is due, or the other way round, is refused, not guessed at."""
    head = pb.ProcessingRequest(request_headers=shown()).SerializeToString()
    body = pb.ProcessingRequest(request_body=pb.HttpBody()).SerializeToString()

    with pytest.raises(envoy_wire.UnexpectedError):
        envoy_wire.event(head, 0, 0)
    with pytest.raises(envoy_wire.UnexpectedError):
        envoy_wire.request_head(body, 0, 0, ID, "")
