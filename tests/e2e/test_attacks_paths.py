"""Nothing is served but the declared paths and methods, in whichever spelling; each try leaves one row."""

from __future__ import annotations

from typing import Final

import pytest
from attack_stage import ASKED, INVALID, KEY, SERVED, UNKNOWN, WITNESS, Attack, Seen, Stage, cases

HEAD: Final = b"host: gate\r\nauthorization: Bearer " + KEY + b"\r\ncontent-type: application/json\r\n"
BODY: Final = b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(ASKED) + ASKED


def to(target: bytes, method: bytes = b"POST", more: bytes = b"") -> bytes:
    """A good request, but for its first line."""
    return method + b" " + target + b" HTTP/1.1\r\n" + HEAD + more + BODY


def served(name: str, target: bytes) -> Attack:
    """Another spelling of the declared path: it is resolved before anything looks at it, so it is governed as that path."""
    return Attack(name, to(target), "200", SERVED, provider=1)


def unknown(name: str, target: bytes) -> Attack:
    """A path that does not exist here."""
    return Attack(name, to(target), "404 unknown_route", UNKNOWN)


def invalid(name: str, target: bytes, *, by: str = WITNESS) -> Attack:
    """A target that no request may have."""
    return Attack(name, to(target), by=by)


SPELLINGS: Final = (
    served("`/v1/../v1/chat/completions`", b"/v1/../v1/chat/completions"),
    served("`/v1/../../v1/chat/completions`", b"/v1/../../v1/chat/completions"),
    served("`/v1/./chat/./completions`", b"/v1/./chat/./completions"),
    served("`//v1//chat///completions`", b"//v1//chat///completions"),
    served("`/v1/%2e%2e/v1/chat/completions`", b"/v1/%2e%2e/v1/chat/completions"),
    served("`/v1/%2E%2E/v1/chat/completions`", b"/v1/%2E%2E/v1/chat/completions"),
    served("`/v1/chat/..;/chat/completions`", b"/v1/chat/..;/chat/completions"),
    served("`/v1/%63hat/completions`", b"/v1/%63hat/completions"),
    served("`/v1\\chat\\completions`", b"/v1\\chat\\completions"),
    served("absolute form: `http://evil/v1/chat/completions`", b"http://evil/v1/chat/completions"),
    unknown("absolute form of another path: `http://evil/v1/files`", b"http://evil/v1/files"),
    Attack("absolute form: `https://evil/v1/chat/completions`", to(b"https://evil/v1/chat/completions"), by=WITNESS),
    invalid("authority form: `evil:80`", b"evil:80"),
    invalid("asterisk form: `*`", b"*"),
    invalid("no target", b""),
    invalid("no leading slash: `v1/chat/completions`", b"v1/chat/completions"),
    invalid("leading backslash: `\\v1\\chat\\completions`", b"\\v1\\chat\\completions"),
    invalid("`/v1/x/..%2fchat/completions`", b"/v1/x/..%2fchat/completions"),
    invalid("`/v1%2Fchat%2Fcompletions`", b"/v1%2Fchat%2Fcompletions"),
    invalid("`/v1%5cchat%5ccompletions`", b"/v1%5cchat%5ccompletions"),
    invalid("`/v1/chat/completions%00`", b"/v1/chat/completions%00"),
    invalid("a space inside: `/v1/chat/ completions`", b"/v1/chat/ completions"),
    invalid("UTF-8 bytes: `/v1/chät/completions`", "/v1/chät/completions".encode()),
    invalid("Latin-1 bytes", b"/v1/ch\xe4t/completions"),
    invalid("a fragment", b"/v1/chat/completions#fragment"),
    invalid("an empty fragment", b"/v1/chat/completions#"),
    invalid("a query", b"/v1/chat/completions?x=1", by="extproc"),
    invalid("an empty query", b"/v1/chat/completions?", by="extproc"),
    *(
        invalid(f"`/v1/messages?{query.decode()}`, beside the one declared query", b"/v1/messages?" + query, by="extproc")
        for query in (
            b"beta=true&x=y",
            b"x=y&beta=true",
            b"beta=true&beta=true",
            b"beta=TRUE",
            b"beta=%74rue",
            b"beta=true/../v1",
        )
    ),
    unknown("`/v1/chat/completions.`", b"/v1/chat/completions."),
    unknown("`/v1/chat/completions/`", b"/v1/chat/completions/"),
    unknown("`/v1/chat/completions/.`", b"/v1/chat/completions/."),
    unknown("`/v1/chat/completions/..`", b"/v1/chat/completions/.."),
    unknown("`/v1/chat/completions;x=y`", b"/v1/chat/completions;x=y"),
    unknown("`/v1;x/chat/completions`", b"/v1;x/chat/completions"),
    unknown("`/V1/CHAT/COMPLETIONS`", b"/V1/CHAT/COMPLETIONS"),
    unknown("`/v1/Chat/completions`", b"/v1/Chat/completions"),
    unknown("`/v1/chat/completions%3Fkey=1`", b"/v1/chat/completions%3Fkey=1"),
    unknown("`/v1/chat/completions%23`", b"/v1/chat/completions%23"),
    unknown("`/v1/chat/completions%20`", b"/v1/chat/completions%20"),
    unknown("`/v1/chat/completions%0d%0ax: y`", b"/v1/chat/completions%0d%0ax:%20y"),
    unknown("an overlong slash: `/v1/chat%c0%afcompletions`", b"/v1/chat%c0%afcompletions"),
    unknown("encoded twice: `/%252e%252e/v1/chat/completions`", b"/%252e%252e/v1/chat/completions"),
    unknown("encoded twice: `/v1/chat%252fcompletions`", b"/v1/chat%252fcompletions"),
    unknown("`/v1/chat%u002fcompletions`", b"/v1/chat%u002fcompletions"),
    unknown("a cut escape: `/v1/chat/completions%2`", b"/v1/chat/completions%2"),
    unknown("no escape: `/v1/chat/completions%zz`", b"/v1/chat/completions%zz"),
    unknown("a character of no width", b"/v1/c%E2%80%8Bhat/completions"),
    unknown("`/../../etc/passwd`", b"/../../etc/passwd"),
    unknown("5,000 bytes", b"/v1/" + b"a" * 5_000),
    Attack("80,000 bytes", to(b"/v1/" + b"a" * 80_000), "431 invalid_request", by=WITNESS),
)

ELSEWHERE: Final = (
    *(unknown(f"`{path.decode()}`", path) for path in (
        b"/v1/files", b"/v1/batches", b"/v1/assistants", b"/v1/threads/t/runs", b"/v1/images/generations", b"/v1/audio/speech",
        b"/v1/fine_tuning/jobs", b"/v1/realtime", b"/v1/realtime/sessions", b"/v1/chat/completions/chatcmpl-1", b"/v1/proxy/x",
        b"/__script", b"/__received", b"/stats", b"/config_dump", b"/", b"/v1", b"/healthz", b"/metrics",
    )),
    Attack(
        "websocket upgrade of `/v1/realtime`",
        b"GET /v1/realtime HTTP/1.1\r\n" + HEAD + b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "404 unknown_route",
        UNKNOWN,
        WITNESS,
    ),
    *(
        Attack(f"upgrade of the declared path to {name}", to(b"/v1/chat/completions", more=b"connection: upgrade\r\nupgrade: " + name.encode() + b"\r\n"), "404 unknown_route", UNKNOWN, WITNESS)
        for name in ("websocket", "TLS/1.0", "connect-udp")
    ),
    Attack(
        "upgrade of the declared path to h2c: not taken",
        to(b"/v1/chat/completions", more=b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"),
        "200",
        SERVED,
        provider=1,
    ),
)  # fmt: skip


def method(name: bytes, *, by: str = "extproc") -> Attack:
    """The declared path with another method."""
    app, row = ("400 invalid_request", INVALID) if by == WITNESS else ("404 unknown_route", UNKNOWN)
    return Attack(
        f"`{name.decode()}`" if name else "no method", to(b"/v1/chat/completions", name), app if name != b"HEAD" else "404", row, by
    )


METHODS: Final = (
    *(method(name) for name in (b"GET", b"HEAD", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"PROPFIND")),
    *(method(name, by=WITNESS) for name in (b"post", b"Post", b"POSTX", b"PRI", b"", b"POST /v1/files", b"P\xc3\x96ST")),
    Attack("`CONNECT evil:443`", b"CONNECT evil:443 HTTP/1.1\r\nhost: evil:443\r\n\r\n", "404 unknown_route", UNKNOWN),
    Attack("`CONNECT` with a path and a body", to(b"/v1/chat/completions", b"CONNECT"), by=WITNESS),
    *(
        Attack(f"`{name.decode()}: GET` beside POST: means nothing", to(b"/v1/chat/completions", more=name + b": GET\r\n"), "200", SERVED, provider=1)
        for name in (b"x-http-method-override", b"x-http-method", b"x-method-override")
    ),
    Attack("`x-http-method-override: POST` beside GET", to(b"/v1/chat/completions", b"GET", b"x-http-method-override: POST\r\n"), "404 unknown_route", UNKNOWN),
)  # fmt: skip

TITLE: Final = "Paths and methods"
TABLES: Final = {"Spellings of the path": SPELLINGS, "Other paths, and upgrades": ELSEWHERE, "Methods": METHODS}
ATTACKS: Final = tuple(attack for table in TABLES.values() for attack in table)


@pytest.mark.parametrize("attack", cases(ATTACKS))
def test_attack(seen: dict[str, Seen], attack: Attack) -> None:
    """The app, the provider and the one row are as the table says; the gate goes on."""
    assert attack.unmet(seen[attack.name]) == []


def test_a_path_is_written_down_in_one_spelling(seen: dict[str, Seen]) -> None:
    """As it was governed, and never longer than the column says."""
    assert {seen[attack.name].rows[0]["path"] for attack in SPELLINGS if attack.provider} == {"/v1/chat/completions"}
    assert max(len(row["path"]) for one in seen.values() for row in one.rows) == 512


def test_nothing_secret_is_written_down(stage: Stage, seen: dict[str, Seen]) -> None:
    """In no row, log line or message."""
    assert stage.written_faults() == []
