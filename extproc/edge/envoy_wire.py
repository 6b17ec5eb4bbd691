"""Between Envoy's ext_proc messages and the exchange's events and replies.

This is the one module outside custody that may reveal a secret: here a provider's credential is
written into the message for Envoy, and nowhere else.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from custody.reveal import REVEAL
from extproc.core.effects import OpenRoute, PassAnswerHead, PassBody, PassHead, PassTrailers, Refusal, Reply
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


def event(data: bytes, at: int) -> Event:
    """Any later message."""
    message = pb.ProcessingRequest.FromString(data)
    kind = message.WhichOneof("request")
    if kind == "response_body":
        return ResponseBody(at, message.response_body.body, message.response_body.end_of_stream)
    if kind == "request_body":
        return RequestBody(at, message.request_body.body)
    if kind == "response_headers":
        return _response_head(message, at)
    if kind == "response_trailers":
        return ResponseTrailers(at)
    raise UnexpectedError(f"no place for {kind}")


def _response_head(message: pb.ProcessingRequest, at: int) -> ResponseHead:
    headers = _headers(message.response_headers)
    fields = message.attributes[ATTRIBUTES].fields
    status = next((value for name, value in headers if name == ":status"), "0")
    return ResponseHead(at, int(status), headers, message.response_headers.end_of_stream, fields["response.code_details"].string_value)


def _headers(message: pb.HttpHeaders) -> Headers:
    return tuple((header.key, header.raw_value.decode("latin-1") or header.value) for header in message.headers.headers)


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
        return _open_route(answer) + opened(answer.provider, answer.route).replace(BLANK, exchange_id.encode())
    if isinstance(answer, Refusal):
        return _refusal(answer) + named(exchange_id)
    if isinstance(answer, PassTrailers):
        return PASS_TRAILERS
    raise UnexpectedError("a cut has no bytes")


PASS_BODY: Final = pb.ProcessingResponse(response_body=pb.BodyResponse()).SerializeToString()
PASS_TRAILERS: Final = pb.ProcessingResponse(response_trailers=pb.TrailersResponse()).SerializeToString()


# Serialised messages that are joined are merged (protobuf's encoding, "last one wins"), so what is the
# same for many exchanges is built once, with a blank of the id's length in the id's place.

BLANK: Final = b"#" * 36


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


def _set(name: str, value: str | bytes) -> pb.HeaderValueOption:
    raw = value if isinstance(value, bytes) else value.encode("latin-1")
    return pb.HeaderValueOption(header=pb.HeaderValue(key=name, raw_value=raw), append_action=OVERWRITE)


@lru_cache(maxsize=256)
def _pass_head(answer: PassHead) -> bytes:
    """SDKs send the same headers time after time, so the same answer is built once."""
    change = pb.CommonResponse(header_mutation=_mutation(answer.set_headers, answer.remove_headers))
    return pb.ProcessingResponse(request_headers=pb.HeadersResponse(response=change)).SerializeToString()


def _mutation(new: Headers, gone: tuple[str, ...] = ()) -> pb.HeaderMutation:
    return pb.HeaderMutation(set_headers=[_set(name, value) for name, value in new], remove_headers=gone)


def _pass_answer_head(answer: PassAnswerHead) -> bytes:
    change = pb.CommonResponse(header_mutation=_mutation(answer.set_headers, answer.remove_headers))
    message = pb.ProcessingResponse(response_headers=pb.HeadersResponse(response=change))
    if answer.streamed:
        message.mode_override.CopyFrom(STREAM_MODE)
    return message.SerializeToString()


STREAM_MODE: Final = pb.ProcessingMode(response_header_mode=SEND, response_body_mode=STREAMED, response_trailer_mode=SEND)


def _pass_body(answer: PassBody) -> bytes:
    change = pb.CommonResponse()
    if answer.body is not None:
        change.body_mutation.body = answer.body
    if answer.set_headers:
        change.header_mutation.CopyFrom(_mutation(answer.set_headers))
    return pb.ProcessingResponse(response_body=pb.BodyResponse(response=change)).SerializeToString()


def _open_route(answer: OpenRoute) -> bytes:
    change = pb.CommonResponse(clear_route_cache=True)
    secret = answer.secret.reveal(REVEAL)
    if secret:  # a provider of one's own may want none
        change.header_mutation.set_headers.append(_set(answer.header, answer.prefix.encode() + secret))
    if answer.body is not None:
        change.body_mutation.body = answer.body
        change.header_mutation.set_headers.append(_set("content-length", str(len(answer.body))))
    return pb.ProcessingResponse(request_body=pb.BodyResponse(response=change)).SerializeToString()


def _refusal(answer: Refusal) -> bytes:
    immediate = pb.ImmediateResponse(
        status=pb.HttpStatus(code=answer.status),
        headers=_mutation(answer.headers),
        body=answer.body,
        details=f"portcullis_{answer.code}",
    )
    return pb.ProcessingResponse(immediate_response=immediate).SerializeToString()
