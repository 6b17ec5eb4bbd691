"""An ext_proc server whose side of each exchange is a script (grpcio: the oracle), and what such scripts are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc

from extproc.edge.proto import ext_proc_pb2 as pb

Script = Callable[[Iterator[pb.ProcessingRequest]], Iterator[pb.ProcessingResponse]]

CREDENTIAL: Final = "Bearer provider-secret"
ID: Final = "0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d"


def set_header(name: str, value: str) -> pb.HeaderValueOption:
    """Overwrite one header."""
    return pb.HeaderValueOption(header=pb.HeaderValue(key=name, raw_value=value.encode()), append_action=2)


def head(*, remove: Sequence[str] = ("authorization",), **metadata: str) -> pb.ProcessingResponse:
    """Answer to the request's head."""
    answer = pb.ProcessingResponse()
    answer.request_headers.response.header_mutation.remove_headers.extend(remove)
    answer.dynamic_metadata.update({"portcullis": {"id": ID, **metadata}})
    return answer


def door(provider: str = "main", route: str = "chat", body: bytes | None = None) -> pb.ProcessingResponse:
    """Answer to the request's body that opens the route."""
    answer = pb.ProcessingResponse()
    change = answer.request_body.response
    change.clear_route_cache = True
    change.header_mutation.set_headers.append(set_header("authorization", CREDENTIAL))
    if body is not None:
        change.body_mutation.body = body
        change.header_mutation.set_headers.append(set_header("content-length", str(len(body))))
    answer.dynamic_metadata.update({"portcullis": {"id": ID, "provider": provider, "route": route}})
    return answer


def passing(message: pb.ProcessingRequest) -> pb.ProcessingResponse:
    """Answer to anything on the way back: as it was, stamped; event streams in pieces."""
    kind = message.WhichOneof("request")
    answer = pb.ProcessingResponse()
    getattr(answer, str(kind)).SetInParent()
    if kind == "response_headers":
        stream = any(h.key == "content-type" and b"event-stream" in h.raw_value for h in message.response_headers.headers.headers)
        if stream or message.response_headers.end_of_stream:
            answer.response_headers.response.header_mutation.set_headers.append(set_header("x-portcullis-request-id", ID))
        if stream:
            answer.mode_override.CopyFrom(pb.ProcessingMode(response_header_mode=1, response_body_mode=1, response_trailer_mode=1))
    elif kind == "response_body":  # a header set here counts only while the head is held, so where the body is whole
        answer.response_body.response.header_mutation.set_headers.append(set_header("x-portcullis-request-id", ID))
    return answer


def govern(messages: Iterator[pb.ProcessingRequest], opener: Callable[[], pb.ProcessingResponse] = door) -> Iterator[pb.ProcessingResponse]:
    """The whole conversation of an exchange that is let through."""
    for message in messages:
        kind = message.WhichOneof("request")
        if kind == "request_headers":
            yield head()
        elif kind == "request_body":
            yield opener()
        else:
            yield passing(message)


@dataclass
class Processor:
    """An ext_proc server on a Unix socket; `script` may be changed at any time, `seen` is one list an exchange."""

    path: Path
    script: Script = govern
    seen: list[list[pb.ProcessingRequest]] = field(default_factory=list)

    def start(self) -> grpc.Server:
        """Serve."""
        server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", -1)])
        handler = grpc.stream_stream_rpc_method_handler(
            self._exchange,
            request_deserializer=pb.ProcessingRequest.FromString,
            response_serializer=pb.ProcessingResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("envoy.service.ext_proc.v3.ExternalProcessor", {"Process": handler}),)
        )
        server.add_insecure_port(f"unix:{self.path}")
        server.start()
        return server

    def _exchange(self, messages: Iterator[pb.ProcessingRequest], _: grpc.ServicerContext) -> Iterator[pb.ProcessingResponse]:
        mine: list[pb.ProcessingRequest] = []
        self.seen.append(mine)

        def watched() -> Iterator[pb.ProcessingRequest]:
            for message in messages:
                mine.append(message)
                yield message

        yield from self.script(watched())


@contextmanager
def processor(path: Path, script: Script = govern) -> Iterator[Processor]:
    """An ext_proc server."""
    served = Processor(path, script)
    server = served.start()
    try:
        yield served
    finally:
        server.stop(None).wait()
