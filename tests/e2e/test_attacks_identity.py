"""Who asks and what for is never read from where an app may write what it likes; and a key ends up nowhere but here."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import pytest
from attack_stage import ASKED, KEY, NO_KEY, OTHER, SERVED, UNKNOWN, WITNESS, Attack, Seen, Stage, cases
from stack import PROVIDER_SECRET

HEAD: Final = b"host: gate\r\ncontent-type: application/json\r\nconnection: close\r\n"
AUTH: Final = b"authorization: Bearer " + KEY + b"\r\n"
BODY: Final = b"content-length: %d\r\n\r\n" % len(ASKED) + ASKED
CHOSEN_ID: Final = b"0199f3b2-7c1e-7a51-9d0b-0f4e5a6b7c8d"


def asking(lines: bytes, target: bytes = b"/v1/chat/completions") -> bytes:
    """A good request but for who asks."""
    return b"POST " + target + b" HTTP/1.1\r\n" + HEAD + lines + BODY


def spoof(line: bytes) -> Attack:
    """A header that means something inside: it means nothing from an app, and stays here."""
    return Attack(f"`{line.decode()}`", asking(AUTH + line + b"\r\n"), "200", SERVED, provider=1)


SPOOFED: Final = tuple(spoof(line) for line in (
    b"x-envoy-original-path: /v1/files", b"x-envoy-original-host: evil", b"x-envoy-original-method: GET", b"x-envoy-internal: true",
    b"x-envoy-external-address: 6.6.6.6", b"x-envoy-upstream-rq-timeout-ms: 1", b"x-envoy-upstream-rq-per-try-timeout-ms: 1",
    b"x-envoy-retry-on: 5xx,retriable-4xx", b"x-envoy-max-retries: 9", b"x-envoy-retriable-status-codes: 200",
    b"x-envoy-hedge-on-per-try-timeout: true", b"x-envoy-decorator-operation: x", b"x-envoy-force-trace: 1", b"x-envoy-attempt-count: 9",
    b"x-envoy-expected-rq-timeout-ms: 1", b"x-envoy-upstream-alt-stat-name: evil", b"x-envoy-upstream-stream-duration-ms: 1",
    b"x-envoy-ip-tags: x", b"x-envoy-peer-metadata: x", b"x-envoy-peer-metadata-id: x", b"x-envoy-livenessprobe: healthz",
    b"x-envoy-fault-abort-request: 500", b"x-envoy-fault-delay-request: 5000", b"x-envoy-of-tomorrow: x",
    b"x-portcullis-request-id: " + CHOSEN_ID, b"x-portcullis-decision-id: " + CHOSEN_ID, b"x-portcullis-cost-usd: 0",
    b"x-portcullis-provider: other", b"x-portcullis-route: embeddings", b"x-portcullis-key-id: other",
    b'x-portcullis-metadata: {"id":"x","provider":"other","route":"embeddings"}', b"x-request-id: " + CHOSEN_ID,
    b"x-client-trace-id: 1", b"x-forwarded-for: 6.6.6.6", b"x-forwarded-for: 127.0.0.1, 6.6.6.6", b"x-forwarded-host: evil",
    b"x-forwarded-proto: https", b"x-forwarded-port: 1", b"x-forwarded-client-cert: By=spiffe://evil", b"x-forwarded-path: /v1/files",
    b"x-real-ip: 6.6.6.6", b"true-client-ip: 6.6.6.6", b"cf-connecting-ip: 6.6.6.6", b"forwarded: for=6.6.6.6;host=evil;proto=https",
    b"x-original-url: /v1/files", b"x-rewrite-url: /v1/files", b"x-original-uri: /v1/files", b"x-host: evil", b"via: 1.1 evil",
    b"grpc-timeout: 1m", b"grpc-status: 0", b"grpc-encoding: gzip", b"grpc-accept-encoding: gzip", b"te: trailers",
    b"openai-organization: org-evil", b"openai-project: proj-evil", b"tracestate: a=b", b"baggage: a=b", b"b3: 0",
    b"x-ot-span-context: a", b"x-upstream: evil", b"x-portkey-custom-host: http://evil", b"x-litellm-api-base: http://evil", b"metadata: x",
))  # fmt: skip


def no_key(name: str, lines: bytes, target: bytes = b"/v1/chat/completions") -> Attack:
    """Refused like every other wrong key."""
    return Attack(name, asking(lines, target), "401 invalid_api_key", NO_KEY)


def known(name: str, lines: bytes) -> Attack:
    """One key and no doubt about it."""
    return Attack(name, asking(lines), "200", SERVED, provider=1)


KEYS: Final = (
    known("authorization and x-api-key, equal", AUTH + b"x-api-key: " + KEY + b"\r\n"),
    *(
        no_key(f"authorization and {name}, different", AUTH + name.encode() + b": " + OTHER + b"\r\n")
        for name in ("x-api-key", "api-key", "x-goog-api-key")
    ),
    no_key("authorization and x-api-key, which is no key", AUTH + b"x-api-key: sk-1\r\n"),
    no_key("authorization twice, different", AUTH + b"authorization: Bearer " + OTHER + b"\r\n"),
    no_key("authorization twice, equal", AUTH + AUTH),
    no_key("x-api-key twice, different", b"x-api-key: " + KEY + b"\r\nx-api-key: " + OTHER + b"\r\n"),
    no_key("two keys in one authorization", b"authorization: Bearer " + KEY + b" " + OTHER + b"\r\n"),
    no_key("two keys with a comma", b"authorization: Bearer " + KEY + b", Bearer " + OTHER + b"\r\n"),
    no_key("Basic", b"authorization: Basic " + KEY + b"\r\n"),
    no_key("no scheme", b"authorization: " + KEY + b"\r\n"),
    no_key("a tab behind the scheme", b"authorization: Bearer\t" + KEY + b"\r\n"),
    no_key("a space in the key", b"authorization: Bearer " + KEY[:30] + b" " + KEY[30:] + b"\r\n"),
    no_key("`%00` behind the key", b"x-api-key: " + KEY + b"%00\r\n"),
    no_key("bytes above ASCII behind the key", b"x-api-key: " + KEY + b"\xc2\xa0\r\n"),
    no_key("the key in capitals", b"x-api-key: PCL" + KEY[3:] + b"\r\n"),
    no_key("the key in `proxy-authorization`", b"proxy-authorization: Bearer " + KEY + b"\r\n"),
    no_key("the key in a cookie", b"cookie: key=" + KEY + b"\r\n"),
    no_key("the key in `sec-websocket-protocol`", b"sec-websocket-protocol: openai-insecure-api-key." + KEY + b"\r\n"),
    no_key("the provider's own credential", b"authorization: Bearer " + PROVIDER_SECRET.encode() + b"\r\n"),
    known("`bearer` in lower case", b"authorization: bearer " + KEY + b"\r\n"),
    known("spaces around the key", b"authorization: Bearer   " + KEY + b"  \r\n"),
    known("Basic beside x-api-key", b"authorization: Basic eDp5\r\nx-api-key: " + KEY + b"\r\n"),
    Attack("`x-portcullis-user`, which this key may not name", asking(AUTH + b"x-portcullis-user: eve\r\n"), "403 not_allowed", "refused, refused, not_allowed"),
    Attack("`x-portcullis-user` dropped by `connection`", asking(AUTH + b"x-portcullis-user: eve\r\n").replace(b"connection: close", b"connection: close, x-portcullis-user"), "200", SERVED, provider=1),
)  # fmt: skip

PASTED: Final = (
    *(
        Attack(f"`?{name.decode()}=` and the key", asking(b"", b"/v1/chat/completions?" + name + b"=" + KEY))
        for name in (b"key", b"api_key", b"api-key", b"access_token")
    ),
    Attack("the key in a query beside a good one", asking(AUTH, b"/v1/chat/completions?key=" + OTHER)),
    Attack("the key in a fragment", asking(AUTH, b"/v1/chat/completions#" + KEY), by=WITNESS),
    Attack("the key in an unknown path", asking(AUTH, b"/v1/" + KEY + b"/chat/completions"), "404 unknown_route", UNKNOWN),
    Attack("the key in a path, escaped", asking(AUTH, b"/v1/%70" + KEY[1:] + b"/chat/completions"), "404 unknown_route", UNKNOWN),
    Attack("the key in a path that is none", asking(AUTH, b"/v1%2f" + KEY + b"/chat/completions"), by=WITNESS),
    Attack("the key as a user in the target", asking(AUTH, b"http://" + KEY + b"@gate/v1/chat/completions"), "200", SERVED, provider=1),
    Attack("the key as the host", asking(AUTH).replace(b"host: gate", b"host: " + KEY), "200", SERVED, provider=1),
    known("the key in `user-agent`", AUTH + b"user-agent: app " + KEY + b"\r\n"),
    known("the key in `accept`", AUTH + b"accept: " + KEY + b"\r\n"),
    known("the key in `openai-beta`", AUTH + b"openai-beta: " + KEY + b"\r\n"),
    known("the key in `traceparent`", AUTH + b"traceparent: " + KEY + b"\r\n"),
    known("the key in `x-request-id`", AUTH + b"x-request-id: " + KEY + b"\r\n"),
    known("the key in `x-portcullis-metadata`", AUTH + b'x-portcullis-metadata: {"a":"' + KEY + b'"}\r\n'),
    Attack("the key in `x-request-id` of what is no request", asking(AUTH + b"x-request-id: " + KEY + b"\r\n", b"/v1%2fchat"), by=WITNESS),
    Attack("a chosen id in `x-request-id` of what is no request", asking(AUTH + b"x-request-id: " + CHOSEN_ID + b"\r\n", b"/v1%2fchat"), by=WITNESS),
    Attack("the same id again", asking(AUTH + b"x-request-id: " + CHOSEN_ID + b"\r\n", b"/v1%2fchat"), by=WITNESS),
)  # fmt: skip

TITLE: Final = "Identity"
TABLES: Final = {"Headers that mean something inside": SPOOFED, "Keys": KEYS, "Keys where none belongs": PASTED}
ATTACKS: Final = tuple(attack for table in TABLES.values() for attack in table)


@pytest.mark.parametrize("attack", cases(ATTACKS))
def test_attack(seen: dict[str, Seen], attack: Attack) -> None:
    """The app, the provider and the one row are as the table says; the gate goes on."""
    assert attack.unmet(seen[attack.name]) == []


def test_all_spoofed_headers_at_once_change_nothing(stage: Stage) -> None:
    """As many as fit into one request: same provider, route, price, key and address as without them."""
    lines = b"".join(line.wire.split(BODY)[0].split(AUTH)[1] for line in SPOOFED if isinstance(line.wire, bytes))
    plain, full = (stage.see(lambda wire=wire: stage.send(Attack("", asking(AUTH + wire)))) for wire in (b"", lines))  # type: ignore[misc] # a default
    stage.add_rows([plain, full])

    assert (full.faults, full.outcome) == ([], plain.outcome)
    assert [request["headers"] for request in full.received] == [request["headers"] for request in plain.received]
    same = ("route", "provider", "credential", "model_asked", "key_id", "team", "project", "user", "cost_nanousd", "status")
    assert [full.rows[0][name] for name in same] == [plain.rows[0][name] for name in same]


def test_the_address_is_the_connections_own(seen: dict[str, Seen]) -> None:
    """Each row was found by it, so no forwarding header was believed; nor does one stand in the row."""
    for attack in SPOOFED:
        (row,) = seen[attack.name].rows
        assert row["client_address"] == seen[attack.name].heard.source
        assert "6.6.6.6" not in str(row)


def test_no_app_chooses_an_id(seen: dict[str, Seen]) -> None:
    """Ids are UUIDs of the gate's making, each once."""
    ids = [row["id"] for one in seen.values() for row in one.rows] + [row["envoy_id"] for one in seen.values() for row in one.rows]
    assert CHOSEN_ID.decode() not in ids
    assert all(str(UUID(name)) == name for name in ids)
    assert len({row["id"] for one in seen.values() for row in one.rows}) == len(ATTACKS)


def test_a_key_ends_up_nowhere(stage: Stage, seen: dict[str, Seen]) -> None:
    """In no row, log line or message; what stood around it is still told."""
    assert stage.written_faults() == []
    assert PROVIDER_SECRET not in stage.stack.log
    assert [row["path"] for row in seen["the key in an unknown path"].rows] == ["/v1/[virtual key]/chat/completions"]
    assert [row["path"] for row in seen["the key in a fragment"].rows] == ["/v1/chat/completions[withheld]"]
    assert [row["path"] for row in seen["the key in a path that is none"].rows] == ["/v1/[withheld]"]
    assert [row["user_agent"] for row in seen["the key in `user-agent`"].rows] == ["app [virtual key]"]
