"""A processor that sits between Envoy and the real extproc and answers wrongly at one chosen message.

All else it passes on as it is, so that credentials, intents and rows are extproc's own. It takes the place of extproc's
socket before Envoy has connected; the real one listens on under another name.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc

from extproc.edge.proto import ext_proc_pb2 as pb

METHOD: Final = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
GARBAGE: Final = b"\xff\xff\xff this is no protobuf"
PATIENCE_S: Final = 30.0
"""How long Envoy is waited for; it gives up long before."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at which message; `later`: not at the first one of its kind."""

    kind: str
    stage: str
    later: bool = False


@dataclass
class Rogue:
    """`faults`: user agent → what goes wrong with requests of it."""

    real: Path
    faults: Mapping[str, Fault] = field(default_factory=dict)

    def exchange(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """One exchange: each message to extproc and its answer back, up to the fault."""
        with grpc.insecure_channel(f"unix:{self.real}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            asked: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
            call = channel.stream_stream(METHOD)(iter(asked.get, None))
            context.add_callback(call.cancel)
            try:
                yield from self._relayed(messages, asked, call, context)
            finally:
                asked.put(None)
                call.cancel()

    def _relayed(
        self, messages: Iterator[bytes], asked: queue.SimpleQueue[bytes | None], call: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        fault: Fault | None = None
        seen: list[str] = []
        for data in messages:
            message = pb.ProcessingRequest.FromString(data)
            stage = str(message.WhichOneof("request"))
            fault = fault or self.faults.get(_agent(message))
            due = fault is not None and stage == fault.stage and (stage in seen or not fault.later)
            seen.append(stage)
            if fault and due:
                yield from self._misdeed(fault, stage, context)
                return
            asked.put(data)
            try:
                yield next(call)
            except StopIteration:
                return
            except grpc.RpcError as error:
                context.abort(error.code(), "passed on")

    def _misdeed(self, fault: Fault, stage: str, context: grpc.ServicerContext) -> Iterator[bytes]:
        """The wrong answer, after which nothing more is said until Envoy has ended the stream."""
        gone = threading.Event()
        if fault.kind == "close" or not context.add_callback(gone.set):
            return
        if fault.kind != "late":
            yield GARBAGE if fault.kind == "garbage" else _another(stage)
        gone.wait(PATIENCE_S)


def _agent(message: pb.ProcessingRequest) -> str:
    return next((header.raw_value.decode() for header in message.request_headers.headers.headers if header.key == "user-agent"), "")


def _another(stage: str) -> bytes:
    """A well-formed answer to a message that was not sent."""
    answer = pb.ProcessingResponse()
    getattr(answer, "request_trailers" if stage != "request_trailers" else "request_body").SetInParent()
    return answer.SerializeToString()


@contextlib.contextmanager
def rogue(path: Path) -> Iterator[Rogue]:
    """Sit down at extproc's socket. At the end the path is free: extproc must be started again."""
    real = path.with_name("real.sock")
    path.rename(real)
    made = Rogue(real)
    server = grpc.server(futures.ThreadPoolExecutor(64), options=[("grpc.max_receive_message_length", -1)])
    handler = grpc.stream_stream_rpc_method_handler(made.exchange)
    service, _, method = METHOD.strip("/").partition("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    try:
        yield made
    finally:
        server.stop(None).wait()
        real.unlink(missing_ok=True)
