"""Headers: what passes, who asks, and what the gate can't read."""

from __future__ import annotations

import pytest

from extproc.core import headers
from extproc.core.body import Malformed

CHAT = (
    (":method", "POST"),
    (":path", "/v1/chat/completions"),
    (":authority", "127.0.0.1:8080"),
    ("host", "127.0.0.1:8080"),
    ("content-type", "application/json"),
    ("content-length", "412"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, br"),
    ("user-agent", "OpenAI/Python 3.54.0"),
    ("authorization", "Bearer pcl_x"),
    ("x-api-key", "pcl_x"),
    ("api-key", "pcl_x"),
    ("x-goog-api-key", "pcl_x"),
    ("proxy-authorization", "Basic eA=="),
    ("cookie", "a=1"),
    ("cookie", "b=2"),
    ("openai-organization", "org-1"),
    ("openai-project", "proj-1"),
    ("openai-beta", "x=v1"),
    ("x-stainless-lang", "python"),
    ("x-portcullis-user", "u"),
    ("x-portcullis-anything", "u"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-proto", "https"),
    ("forwarded", "for=10.0.0.1"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("x-request-id", "5c2e"),
    ("x-envoy-external-address", "10.0.0.1"),
    ("transfer-encoding", "chunked"),
    ("te", "trailers"),
)


def test_a_request_goes_on_with_few_headers() -> None:
    """Keys, cookies, billing selectors, forwarding and unknown headers go, each named once; what Envoy owns isn't touched."""
    left = {name for name, _ in CHAT} - set(headers.strip(CHAT))
    of_envoy = {
        ":method",
        ":path",
        ":authority",
        "host",
        "content-length",
        "x-request-id",
        "x-envoy-external-address",
        "transfer-encoding",
        "x-forwarded-proto",
    }
    assert left == of_envoy | {"content-type", "accept", "accept-encoding", "user-agent", "openai-beta"}
    assert len(headers.strip(CHAT)) == len(set(headers.strip(CHAT)))


@pytest.mark.parametrize(
    "text",
    [
        "app/1.0 jane@example.com",
        "card 4111 1111 1111 1111",
        "Bearer pcl_x",
        "x-pcl_" + "a" * 60,
        "the-secret-alone",
        "x the-secret-alone_sum",
    ],
)
def test_a_header_with_a_secret_or_personal_data_is_not_sent(text: str) -> None:
    """A header that could go on stays here if somebody put into it what must not go, a part of the key too; the rest goes."""
    key = ("authorization", "Bearer pcl_id_the-secret-alone_sum")
    sent = (key, ("user-agent", text), ("accept", "application/json"), ("openai-beta", "x=v1"), ("cookie", text))
    assert headers.not_sent(sent) == ("user-agent",)


def test_an_answer_is_asked_for_in_plain() -> None:
    """What overwrites a header isn't also removed."""
    assert headers.ASK == (("accept-encoding", "identity"),)
    assert not {name for name, _ in headers.ASK} & set(headers.strip(CHAT))


def test_an_answer_goes_on_with_few_headers() -> None:
    """Cookies, the provider's account and its rate limits stay here."""
    answer = (
        (":status", "200"),
        ("content-type", "text/event-stream"),
        ("content-length", "3"),
        ("date", "Tue, 24 Nov 2026 10:00:00 GMT"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("openai-organization", "acme"),
        ("openai-processing-ms", "12"),
        ("x-ratelimit-remaining-requests", "3"),
        ("x-portcullis-request-id", "forged"),
        ("x-request-id", "req_1"),
        ("retry-after", "2"),
        ("strict-transport-security", "max-age=1"),
        ("x-envoy-upstream-service-time", "9"),
    )
    gone = {"set-cookie", "openai-organization", "x-ratelimit-remaining-requests", "x-portcullis-request-id", "strict-transport-security"}
    assert set(headers.answer_removals(answer)) == gone


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ([], None),
        ([("authorization", "Bearer k")], "k"),
        ([("authorization", "bearer  k ")], "k"),
        ([("authorization", "Basic k")], None),
        ([("authorization", "k")], None),
        ([("authorization", "Bearer")], None),
        ([("x-api-key", "k")], "k"),
        ([("api-key", " k ")], "k"),
        ([("x-goog-api-key", "k")], "k"),
        ([("x-api-key", "k"), ("authorization", "Bearer k")], "k"),
        ([("x-api-key", ""), ("authorization", "Bearer k")], "k"),
        ([("authorization", "Basic x"), ("api-key", "k")], "k"),
        ([("x-api-key", "k"), ("authorization", "Bearer other")], None),
        ([("authorization", "Bearer k"), ("authorization", "Bearer other")], None),
        ([("cookie", "k"), ("x-portcullis-key", "k")], None),
    ],
)
def test_the_key_is_found_wherever_an_sdk_puts_it(sent: list[tuple[str, str]], key: str | None) -> None:
    """Different keys in one request are no key: nobody should be able to choose which one counts."""
    assert headers.bearer(tuple(sent)) == key


@pytest.mark.parametrize(
    ("sent", "user"),
    [
        ([], ""),
        ([("x-portcullis-user", " u-1842 ")], "u-1842"),
        ([("x-portcullis-user", "zoé".encode().decode("latin-1"))], "zoé"),
        ([("x-portcullis-user", "u"), ("x-portcullis-user", "u")], "u"),
        ([("x-portcullis-user", "u" * 256)], "u" * 256),
    ],
)
def test_the_end_user_is_read(sent: list[tuple[str, str]], user: str) -> None:
    """The header's bytes are UTF-8."""
    assert headers.end_user(tuple(sent)) == user


@pytest.mark.parametrize(
    "sent",
    [
        [("x-portcullis-user", "a"), ("x-portcullis-user", "b")],
        [("x-portcullis-user", "u" * 257)],
        [("x-portcullis-user", "a\tb")],
        [("x-portcullis-user", "\xff")],
        [("x-portcullis-user", "☃")],
    ],
)
def test_an_end_user_that_is_no_id_is_refused(sent: list[tuple[str, str]]) -> None:
    """Several, too long, unprintable, or not bytes of UTF-8."""
    with pytest.raises(Malformed, match="x-portcullis-user"):
        headers.end_user(tuple(sent))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, {}),
        ("", {}),
        ("{}", {}),
        ('{"feature":"search","n":""}', {"feature": "search", "n": ""}),
        ('{"é":"ü"}'.encode().decode("latin-1"), {"é": "ü"}),
        ("{" + ",".join(f'"k{n}":"v"' for n in range(16)) + "}", {f"k{n}": "v" for n in range(16)}),
        ('{"k":"' + "v" * 2040 + '"}', {"k": "v" * 2040}),
    ],
)
def test_metadata_is_read(text: str | None, told: dict[str, str]) -> None:
    """Up to 16 pairs in up to 2 KiB."""
    sent = () if text is None else (("x-portcullis-metadata", text),)
    assert headers.metadata(sent) == told


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        '"a"',
        '{"a":1}',
        '{"a":null}',
        '{"a":{"b":"c"}}',
        '{"a":"1","a":"2"}',
        '{"a":"1","A":"2"}',
        '{"a":"\\ud800"}',
        "{" + ",".join(f'"k{n}":"v"' for n in range(17)) + "}",
        '{"k":"' + "v" * 2041 + '"}',
        '{"a":"\xff"}',
    ],
)
def test_other_metadata_is_refused(text: str) -> None:
    """Whatever isn't an object of strings, by the same strict reading as a body; the refusal names the header."""
    with pytest.raises(Malformed, match="x-portcullis-metadata"):
        headers.metadata((("x-portcullis-metadata", text),))


def test_metadata_said_twice_is_refused() -> None:
    """Which of the two counts would be a guess."""
    with pytest.raises(Malformed, match="several times"):
        headers.metadata((("x-portcullis-metadata", "{}"), ("x-portcullis-metadata", '{"a":"b"}')))


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (f"00-{TRACE}-{SPAN}-01", (TRACE, SPAN)),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", (TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}-01-x", ("", "")),
        (f"cc-{TRACE}-{SPAN}-01x", ("", "")),
        (f"ff-{TRACE}-{SPAN}-01", ("", "")),
        (f"00-{'0' * 32}-{SPAN}-01", ("", "")),
        (f"00-{TRACE}-{'0' * 16}-01", ("", "")),
        (f"00-{TRACE.upper()}-{SPAN}-01", ("", "")),
        (f"00-{TRACE}-{SPAN}", ("", "")),
        ("", ("", "")),
    ],
)
def test_trace_ids_are_read_or_ignored(text: str, ids: tuple[str, str]) -> None:
    """A header that is not of the standard's form counts as missing."""
    assert headers.traceparent((("traceparent", text),)) == ids


def test_no_traceparent_no_ids() -> None:
    """Nothing is made up."""
    assert headers.traceparent(()) == ("", "")


@pytest.mark.parametrize(
    ("content_type", "readable"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ('application/json;charset="utf-8"', True),
        ("application/json;", True),
        ("application/json; charset=utf-16", False),
        ("application/json; charset=utf-8; charset=utf-16", False),
        ("application/jsonx", False),
        ("text/plain", False),
        ("multipart/form-data; boundary=x", False),
        (None, False),
    ],
)
def test_only_json_in_utf8_can_be_read(content_type: str | None, *, readable: bool) -> None:
    """Whatever is of another type or in another charset is not for this gate; how it is encoded on the way is another question."""
    sent = (("content-type", content_type),) if content_type is not None else ()
    assert headers.is_json(sent) == readable
    assert headers.is_json((*sent, ("content-encoding", "gzip"))) == readable


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [(None, False), ("", False), ("identity", False), (" Identity ", False), ("gzip", True), ("identity, gzip", True)],
)
def test_an_encoded_answer_is_seen(encoding: str | None, *, encoded: bool) -> None:
    """Whatever a provider names beside identity."""
    assert headers.encoded((("content-encoding", encoding),) if encoding is not None else ()) == encoded


def test_one_of_several_encodings_is_enough() -> None:
    """A second header of the same name doesn't hide the first."""
    assert headers.encoded((("content-encoding", "identity"), ("content-encoding", "br")))


def test_two_types_are_none() -> None:
    """Two different content types can't both be believed; the same one twice can."""
    two = (("content-type", "application/json"), ("content-type", "text/plain"))
    assert not headers.is_json(two)
    assert headers.media_type(two) == ""
    assert headers.is_json((("content-type", "application/json"),) * 2)


def test_an_answers_type_is_read() -> None:
    """Parameters and case don't matter."""
    stream = (("content-type", "Text/Event-Stream; charset=utf-8"),)
    assert headers.media_type(stream) == "text/event-stream"
    assert headers.is_event_stream(stream)
    assert not headers.is_event_stream((("content-type", "text/plain"),))
    assert not headers.is_event_stream(())


def test_a_single_header_is_read() -> None:
    """The first one counts where any does; where they must agree, different ones are none."""
    sent = (("a", "1"), ("a", "2"), ("b", "3"), ("b", "3"))
    assert (headers.first(sent, "a"), headers.first(sent, "c")) == ("1", "")
    assert (headers.value(sent, "a"), headers.value(sent, "b"), headers.value(sent, "c")) == (None, "3", None)


@pytest.mark.parametrize(
    ("announced", "size"),
    [(None, 0), ("0", 0), ("412", 412), ("+412", 0), ("-1", 0), ("4e3", 0), ("٤١٢", 0), ("", 0), ("9" * 18, 10**18 - 1), ("9" * 19, 0)],
)
def test_a_bodys_length_is_what_its_head_announces(announced: str | None, size: int) -> None:
    """Nothing where it announces none, or none that is a number."""
    assert headers.length((("content-length", announced),) if announced is not None else ()) == size
