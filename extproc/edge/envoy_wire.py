"""Between Envoy's ext_proc messages and the exchange's events and replies.

This is the one module outside custody that may reveal a secret: here a provider's credential is
written into the message for Envoy, and nowhere else.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from custody.reveal import REVEAL
from extproc.core.effects import OpenRoute, OwnAnswer, PassAnswerHead, PassBody, PassHead, PassTrailers, Reply
from extproc.core.events import Event, Headers, RequestBody, RequestHead, ResponseBody, ResponseHead, ResponseTrailers
from extproc.edge.proto import ext_proc_pb2 as pb

NAMESPACE: Final = "portcullis"
"""Dynamic metadata that opens a route. A client can't forge it, as it could a header."""

ATTRIBUTES: Final = "envoy.filters.http.ext_proc"
OVERWRITE: Final = pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
SEND: Final = pb.ProcessingMode.SEND
STREAMED: Final = pb.ProcessingMode.STREAMED


class UnexpectedError(ValueError):
    """Envoy sent what this conversation has no place for."""


# ── in ────────────────────────────────────────────────────────────────────────


def request_head(data: bytes, at: int, now: int, exchange_id: str, decision_id: str) -> RequestHead:
    """The first message of a stream."""
    message = pb.ProcessingRequest.FromString(data)
    if message.WhichOneof("request") != "request_headers":
        raise UnexpectedError("the first message is no request head")
    fields = message.attributes[ATTRIBUTES].fields
    headers = _headers(message.request_headers)
    return RequestHead(
        id=exchange_id,
        decision_id=decision_id,
        time=now,
        at=at,
        headers=headers,
        end=message.request_headers.end_of_stream,
        source_address=_address(fields["source.address"].string_value),
        envoy_id=fields["request.id"].string_value,
    )


def event(data: bytes, at: int, idle: int) -> Event:
    """Any later message; `idle` ns passed since the reply before it."""
    message = pb.ProcessingRequest.FromString(data)
    kind = message.WhichOneof("request")
    if kind == "response_body":
        return ResponseBody(at, message.response_body.body, message.response_body.end_of_stream, idle)
    if kind == "request_body":
        return RequestBody(at, message.request_body.body, idle)
    if kind == "response_headers":
        return _response_head(message, at, idle)
    if kind == "response_trailers":
        return ResponseTrailers(at, idle)
    raise UnexpectedError(f"no place for {kind}")


def _response_head(message: pb.ProcessingRequest, at: int, idle: int) -> ResponseHead:
    headers = _headers(message.response_headers)
    status = next((value for name, value in headers if name == ":status"), "0")
    details = message.attributes[ATTRIBUTES].fields["response.code_details"].string_value
    return ResponseHead(at, int(status), headers, message.response_headers.end_of_stream, details, idle)


def _headers(message: pb.HttpHeaders) -> Headers:
    return tuple([(header.key, header.raw_value.decode("latin-1")) for header in message.headers.headers])


def _address(source: str) -> str:
    """The address without its port; `[::1]:4711` and `127.0.0.1:4711` are what Envoy says."""
    return source.rpartition(":")[0].strip("[]")


# ── out ───────────────────────────────────────────────────────────────────────


def reply(answer: Reply, exchange_id: str) -> bytes:
    """The bytes of one answer. The exchange's id goes along as metadata, so the access log can name it."""
    if isinstance(answer, PassBody):
        return PASS_BODY if answer.body is None and not answer.set_headers else _pass_body(answer)
    if isinstance(answer, PassHead):
        return _pass_head(answer) + named(exchange_id)
    if isinstance(answer, PassAnswerHead):
        return _pass_answer_head(answer)
    if isinstance(answer, OpenRoute):
        return _open_route(answer, opened(answer.provider, answer.route).replace(BLANK, exchange_id.encode()))
    if isinstance(answer, OwnAnswer):
        return _own_answer(answer) + named(exchange_id)
    if isinstance(answer, PassTrailers):
        return PASS_TRAILERS
    raise UnexpectedError("a cut has no bytes")


PASS_BODY: Final = pb.ProcessingResponse(response_body=pb.BodyResponse()).SerializeToString()
PASS_TRAILERS: Final = pb.ProcessingResponse(response_trailers=pb.TrailersResponse()).SerializeToString()


# Serialised messages that are joined are merged (protobuf's encoding, "last one wins"), so what is the
# same for many exchanges is built once, with a blank of the id's length in the id's place.

BLANK: Final = b"#" * 36

LARGE: Final = 64 << 10
"""Bytes of a body from which copies are counted."""


def _metadata(**fields: str) -> bytes:
    message = pb.ProcessingResponse()
    message.dynamic_metadata.update({NAMESPACE: {"id": BLANK.decode(), **fields}})
    return message.SerializeToString()


ID_ONLY: Final = _metadata()


def named(exchange_id: str) -> bytes:
    """Metadata with the id alone."""
    return ID_ONLY.replace(BLANK, exchange_id.encode())


@lru_cache(maxsize=1024)
def opened(provider: str, route: str) -> bytes:
    """Metadata that opens the route to a provider."""
    return _metadata(provider=provider, route=route)


# Below, messages are written field by field: building them as objects first costs more than all they hold. A test
# reads each back with the generated classes. Numbers are those of proto/ext_proc.proto.

STREAM_MODE: Final = pb.ProcessingResponse(
    mode_override=pb.ProcessingMode(response_header_mode=SEND, response_body_mode=STREAMED, response_trailer_mode=SEND)
).SerializeToString()


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field (protobuf encoding, wire type 2)."""
    size = len(content)
    if size < 1 << 7:
        return bytes((number << 3 | 2, size)) + content
    if size < 1 << 14:
        return bytes((number << 3 | 2, size & 0x7F | 0x80, size >> 7)) + content
    return _head(number, size) + content


def _head(number: int, size: int) -> bytes:
    """What stands before a length-delimited field."""
    head = [number << 3 | 2]
    while size >= 1 << 7:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*head, size))


def _carrying(number: int, change: bytes, body: bytes, after: bytes = b"") -> bytes:
    """ProcessingResponse.<number>{response{change, body_mutation{body}}}, and `after` it. A large body is copied once, not once a level."""
    if len(body) < LARGE:
        return _field(number, _field(1, change + _field(3, _field(1, body)))) + after
    before = _head(1, len(body))
    before = change + _head(3, len(before) + len(body)) + before
    for level in (1, number):
        before = _head(level, len(before) + len(body)) + before
    return b"".join((before, body, after))


@lru_cache(maxsize=256)
def _key(name: str) -> bytes:
    return _field(1, name.encode("latin-1"))


def _set(name: str, value: bytes) -> bytes:
    """HeaderMutation.set_headers: HeaderValueOption{header{key, raw_value}, append_action OVERWRITE_IF_EXISTS_OR_ADD}."""
    return _field(1, _field(1, _key(name) + _field(3, value)) + b"\x18\x02")


def _all(new: Headers) -> bytes:
    return b"".join([_set(name, value.encode("latin-1")) for name, value in new])


@lru_cache(maxsize=256)
def _gone(names: tuple[str, ...]) -> bytes:
    """HeaderMutation.remove_headers. SDKs and providers send the same headers time after time."""
    return b"".join(_field(2, name.encode("latin-1")) for name in names)


@lru_cache(maxsize=256)
def _pass_head(answer: PassHead) -> bytes:
    """ProcessingResponse.request_headers{response{header_mutation}}."""
    return _field(1, _field(1, _field(2, _all(answer.set_headers) + _gone(answer.remove_headers))))


def _pass_answer_head(answer: PassAnswerHead) -> bytes:
    """ProcessingResponse.response_headers{response{header_mutation}}, and the mode for what follows."""
    message = _field(2, _field(1, _field(2, _all(answer.set_headers) + _gone(answer.remove_headers))))
    return message + STREAM_MODE if answer.streamed else message


def _pass_body(answer: PassBody) -> bytes:
    """ProcessingResponse.response_body{response{header_mutation, body_mutation{body}}}."""
    change = _field(2, _all(answer.set_headers)) if answer.set_headers else b""
    return _field(4, _field(1, change)) if answer.body is None else _carrying(4, change, answer.body)


def _open_route(answer: OpenRoute, metadata: bytes) -> bytes:
    """ProcessingResponse.request_body{response{header_mutation, clear_route_cache, body_mutation{body}}}, and the metadata."""
    secret = answer.secret.reveal(REVEAL)
    new = _set(answer.header, answer.prefix.encode() + secret) if secret else b""  # a provider of one's own may want none
    if answer.body is None:
        return _field(3, _field(1, _field(2, new) + _CLEAR)) + metadata
    new += _set("content-length", b"%d" % len(answer.body))
    return _carrying(3, _field(2, new) + _CLEAR, answer.body, metadata)


_CLEAR: Final = b"\x28\x01"  # clear_route_cache: true


def more_time(seconds: int) -> bytes:
    """ProcessingResponse.override_message_timeout{seconds}: Envoy waits so long for the reply to the message in hand; at most 127 s.

    It counts once a message, and only up to the filter's max_message_timeout.
    """
    return _field(10, bytes((0x08, seconds)))


def _own_answer(answer: OwnAnswer) -> bytes:
    details = f"portcullis_{answer.code}"
    immediate = pb.ImmediateResponse(status=pb.HttpStatus(code=answer.status), body=answer.body, details=details)
    for name, value in answer.headers:
        header = pb.HeaderValue(key=name, raw_value=value.encode("latin-1"))
        immediate.headers.set_headers.add(header=header, append_action=OVERWRITE)
    return pb.ProcessingResponse(immediate_response=immediate).SerializeToString()
