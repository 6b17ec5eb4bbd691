"""An ext_proc that does nothing: every message is answered with CONTINUE. The floor that the gate is measured against.

    python bench/noop_ext_proc.py SOCKET

Listens on SOCKET (in a 0700 folder) until SIGTERM or SIGINT, then serves what is open and ends. It uses the product's own
framing and message classes, so what the gate costs above it is the gate's work.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from extproc.edge.grpc_stream import Server, Stream, new_loop, serve
from extproc.edge.proto import ext_proc_pb2 as pb

# An empty inner answer means CONTINUE: status 0 is the default, and protobuf leaves defaults out.
CONTINUE = {
    "request_headers": pb.ProcessingResponse(request_headers=pb.HeadersResponse()).SerializeToString(),
    "request_body": pb.ProcessingResponse(request_body=pb.BodyResponse()).SerializeToString(),
    "request_trailers": pb.ProcessingResponse(request_trailers=pb.TrailersResponse()).SerializeToString(),
    "response_headers": pb.ProcessingResponse(response_headers=pb.HeadersResponse()).SerializeToString(),
    "response_body": pb.ProcessingResponse(response_body=pb.BodyResponse()).SerializeToString(),
    "response_trailers": pb.ProcessingResponse(response_trailers=pb.TrailersResponse()).SerializeToString(),
}


class Noop:
    """Exchanges that pass as they are."""

    def message(self, data: bytes, stream: Stream, /) -> bytes:  # noqa: ARG002 - the protocol's signature
        """CONTINUE, for the kind of message that came. An unknown kind raises KeyError, which ends the stream with an error."""
        return CONTINUE[pb.ProcessingRequest.FromString(data).WhichOneof("request")]

    def ended(self, stream: Stream, /) -> None:
        """Nothing was held."""


async def main(path: Path) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server: Server = await serve(path, Noop())
    gc.collect()
    gc.freeze()
    print(f"ready on {path}", flush=True)
    await stop.wait()
    server.drain()
    await server.drained()
    await server.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python bench/noop_ext_proc.py SOCKET")
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main(Path(sys.argv[1])))
