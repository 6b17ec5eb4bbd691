"""What the mock got, as far back as it remembers."""

from __future__ import annotations

from collections import deque
from typing import Final

import orjson

from controlplane.mock.http1 import Request

MOST_REQUESTS: Final = 20_000
MOST_BYTES: Final = 256 << 20


class Received:
    """Requests in order; the oldest go when there are too many or they are too long together."""

    def __init__(self, most_requests: int = MOST_REQUESTS, most_bytes: int = MOST_BYTES) -> None:
        self._requests: deque[Request] = deque()
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self._bytes = 0
        self.forgotten = 0

    def add(self, request: Request) -> None:
        """Remember one more."""
        self._requests.append(request)
        self._bytes += len(request.body)
        while len(self._requests) > self._most_requests or (self._bytes > self._most_bytes and len(self._requests) > 1):
            self._bytes -= len(self._requests.popleft().body)
            self.forgotten += 1

    def forget(self) -> None:
        """Remember none."""
        self._requests.clear()
        self._bytes = self.forgotten = 0

    def lines(self) -> bytes:
        """One JSON object a line."""
        return b"".join(orjson.dumps(_seen(request)) + b"\n" for request in self._requests)


def _seen(request: Request) -> dict[str, object]:
    # Bytes that are no UTF-8 are shown as \xff, so that a line is text whatever came.
    return {
        "method": request.method,
        "path": request.path,
        "headers": dict(request.headers),
        "body": request.body.decode("utf-8", "backslashreplace"),
    }
