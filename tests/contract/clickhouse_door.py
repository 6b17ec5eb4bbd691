"""A ClickHouse server for tests: the real engine (chDB) behind a home-made HTTP door that speaks what clickhouse-connect sends.

`python clickhouse_door.py FOLDER PORT` (0: any; the port is printed). It proves our HTTP client path: settings in the
URL, native inserts, errors, a server that dies or hangs. It proves nothing of ClickHouse's own HTTP, users or quotas.
"""

from __future__ import annotations

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import clickhouse_connect

INSERT = re.compile(rb"INSERT INTO\s+(\S+)\s*\(([^)]*)\)\s*FORMAT\s+Native\s?\n", re.IGNORECASE)
ENGINE: list[Any] = []
ONE_AT_A_TIME = Lock()


class Door(BaseHTTPRequestHandler):
    """One request is one statement."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """/ping."""
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        """A statement in the URL, in the body, or partly in each; the rows of an insert follow it."""
        given = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        body = self.rfile.read(int(self.headers.get("content-length", 0))) if "content-length" in self.headers else self._chunks()
        try:
            with ONE_AT_A_TIME:
                self._answer(200, _run(given, body))
        except Exception as error:  # noqa: BLE001 - every failure is an answer
            self._answer(500, str(error).encode())

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().strip(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status != 200:
            code = re.search(rb"Code: (\d+)", body)
            self.send_header("X-ClickHouse-Exception-Code", code[1].decode() if code else "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def _run(given: dict[str, str], body: bytes) -> bytes:
    client = ENGINE[0]
    whole = (given["query"].encode() + b"\n" if given.get("query") else b"") + body
    insert = INSERT.match(whole)
    if insert:
        columns = [name.strip().strip("`") for name in insert[2].decode().split(",")]
        settings = {
            name: value for name, value in given.items() if name in {"insert_deduplication_token", "max_partitions_per_insert_block"}
        }
        client.raw_insert(insert[1].decode().replace("`", ""), columns, whole[insert.end() :], settings=settings, fmt="Native")
        return b""
    sql = whole.decode()
    for name, value in given.items():
        if name.startswith("param_"):
            escaped = value.replace("\\", "\\\\").replace("'", "\\'")
            client.command(f"SET {name} = '{escaped}'")
    return bytes(client.raw_query(sql))


if __name__ == "__main__":
    ENGINE.append(clickhouse_connect.get_client(dsn=f"chdb://{sys.argv[1]}"))
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Door)
    print(server.server_port, flush=True)  # noqa: T201 - how the test learns the port
    server.serve_forever()
