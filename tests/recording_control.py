"""A control plane that only writes down what it is asked, and answers what it is told: for what the command line makes of its words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "t" * 43


@dataclass(frozen=True)
class Asked:
    """One request. `headers` in lower case."""

    method: str
    path: str
    body: Any
    headers: dict[str, str] = field(repr=False)

    @property
    def told(self) -> tuple[str, str, Any]:
        """What is compared with a table."""
        return self.method, self.path.removeprefix("/api/v1"), self.body


@dataclass
class Recording:
    """What was asked, and what is answered: by method and path, else an empty change. A status of 0 breaks the connection off."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)

    def answer(self, method: str, path: str, document: Any, status: int = 200) -> None:
        """Answer this once; the last one told is the answer from then on."""
        self.answers.setdefault((method, f"/api/v1{path}"), []).append((status, document))

    def next(self, method: str, path: str) -> tuple[int, Any]:
        """What is answered now."""
        told = self.answers.get((method, path.partition("?")[0]), [(200, {"changes": [], "planes": []})])
        return told.pop(0) if len(told) > 1 else told[0]


@contextmanager
def recording() -> Iterator[Recording]:
    """It listens until the block ends."""
    record = Recording()

    class Handler(BaseHTTPRequestHandler):
        """Writes down and answers."""

        def _any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            raw = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            record.asked.append(Asked(self.command, self.path, json.loads(raw) if raw else None, headers))
            status, document = record.next(self.command, self.path)
            if status == 0:
                self.close_connection = True
                return
            body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.send_header("etag", '"7"')
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    record.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield record
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
