"""The answer's way back: read as it comes, redacted by the verdict's table, counted, handed on.

An answer that can't be read is never passed on. A provider's own error is: 4xx as it is; any other status that
is not 200 (and 401, 402, 403 and 407, which are about the gate's credential, not about the app) as 502, each
redacted like any answer and with the credential's text removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from contracts.errors import Refused, UpstreamError
from contracts.policy import Actions, Verdict
from contracts.settings import Limits
from contracts.snapshot import ModelRecord
from custody import scrub
from custody.secret import Secret
from extproc.core import headers, places, refusals
from extproc.core.answer import BufferedAnswer, buffered
from extproc.core.dialects import Call, Route
from extproc.core.effects import Answer, Compute, Cut, Hold, PassAnswerHead, PassBody, PassTrailers, Reply
from extproc.core.events import Event, Headers, ResponseBody, ResponseHead, ResponseTrailers
from extproc.core.heavy import looked_into
from extproc.core.stream import STREAM_DEPTH, StreamedAnswer
from extproc.core.tally import CREDENTIAL, Blocked, Unreadable
from extproc.core.trail import Trail
from extproc.redact.finding import Detector, Finding
from extproc.redact.scanner import scan

OK: Final = 200
APPS_FAULT: Final = frozenset(range(400, 500)) - {401, 402, 403, 407}
"""What a provider says about the request goes to the app as it is; those that are left out are about the gate's own credential."""
COMPRESSED: Final = "The provider sent a compressed answer though none was asked for; it was not read and not passed on."


async def answer(
    trail: Trail, route: Route, call: Call, model: ModelRecord, verdict: Verdict, limits: Limits, head: ResponseHead, secret: Secret
) -> None:
    """Hand the provider's answer to the app. Events that nobody asked for are no answer that the route's dialect could read."""
    if headers.encoded(head.headers):
        raise UpstreamError(COMPRESSED, termination="upstream_garbage")
    if call.stream and head.status == OK and headers.is_event_stream(head.headers) and not head.end:
        await streamed(trail, route, call, model, verdict, head, secret)
    else:
        await whole(trail, route, model, verdict, limits, head, secret)


def not_shown(head: ResponseHead, secret: Secret) -> tuple[str, ...]:
    """Headers the app does not get: those off the allow-list, and any that repeats the credential or holds personal data."""
    said = [name for name, value in head.headers if name in headers.TO_APP and (scrub.holds(value, secret) or scan(value))]
    return (*headers.answer_removals(head.headers), *said)


def echoes(secret: Secret) -> Detector:
    """Finds the credential in a text that comes in pieces."""

    def find(text: str) -> Iterator[Finding]:
        return (Finding(CREDENTIAL, start, end, "credential") for start, end in scrub.places(text, secret))

    return Detector(CREDENTIAL, find, lambda text: scrub.begun(text, secret))


# ── one body ──────────────────────────────────────────────────────────────────


async def whole(
    trail: Trail, route: Route, model: ModelRecord, verdict: Verdict, limits: Limits, head: ResponseHead, secret: Secret
) -> None:
    """An answer in one piece: redacted, priced, and only then shown."""
    # No header names the exchange yet: until the body is answered too, Envoy holds back what it was not told to show.
    gone = not_shown(head, secret)
    await Hold(trail.row.request_bytes + headers.length(head.headers))
    event: Event = head if head.end else await trail.says(PassAnswerHead(remove_headers=gone))
    raw = event.data if isinstance(event, ResponseBody) else b""
    trail.first_bytes(event.at)
    clean = scrub.scrub(raw, secret)
    kind = headers.media_type(head.headers)
    asked = (route, clean, verdict.actions, limits.json_depth, head.status == OK, kind)
    try:
        read = await Compute(places.weight(clean), buffered, asked)
    except Unreadable as why:
        message = f"The provider answered {head.status} with what can't be read: {why}. It was not passed on."
        raise UpstreamError(message, termination="upstream_garbage") from None
    note(trail, read)
    if read.blocked:
        trail.used(read.usage, route, model, read.text_bytes_out)
        raise refusals.blocked("answer", read.blocked)
    out = read.body if read.body is not None else clean
    if head.status != OK and head.status not in APPS_FAULT:
        raise UpstreamError(f"The provider answered {head.status}.", provider=(head.status, out))
    if head.status == OK:
        trail.used(read.usage, route, model, read.text_bytes_out)
        trail.ended(head.status, "served", "complete")
    else:
        trail.ended(head.status, "failed", "upstream_status", UpstreamError.code)
    trail.row.response_bytes = len(out)
    named = refusals.told(trail.row, head.headers)
    reply = PassBody(out, priced(trail, named, len(out))) if isinstance(event, ResponseBody) else PassAnswerHead(named, gone)
    await last(trail, reply, event)


def priced(trail: Trail, named: Headers, length: int) -> Headers:
    """Headers of a whole answer: those that name the exchange, its length as it leaves, and its cost where a price is known."""
    cost = trail.cost_usd
    sized = (*named, ("content-length", str(length)))
    return sized if cost is None else (*sized, (headers.COST, cost))


async def last(trail: Trail, reply: Reply, event: Event) -> None:
    """The last answer of a whole body; trailers may follow it."""
    if isinstance(event, ResponseBody) and not event.end:
        after = await trail.says(reply)
        await Answer(PassTrailers() if isinstance(after, ResponseTrailers) else PassBody(b""))
    else:
        await Answer(reply)


# ── an event stream ───────────────────────────────────────────────────────────


async def streamed(
    trail: Trail, route: Route, call: Call, model: ModelRecord, verdict: Verdict, head: ResponseHead, secret: Secret
) -> None:
    """An answer in events: each leaves as soon as its text is decided."""
    without, more = lambda raw: scrub.scrub(raw, secret), (echoes(secret),)
    stream = StreamedAnswer(route, verdict.actions, hides_usage=call.hides_usage, apart=True, without=without, more=more)
    begin = PassAnswerHead(refusals.told(trail.row, head.headers), not_shown(head, secret), streamed=True)
    event: Event = head
    try:
        event = await trail.says(begin)
        while isinstance(event, ResponseBody):
            trail.first_bytes(event.at)
            out = await fed(stream, event.data, route, verdict.actions)
            out += stream.finish() if event.end else b""
            trail.row.response_bytes += len(out)
            piece = PassBody(None if out == event.data else out)
            if event.end:
                closed(trail, stream, out)
                await Answer(piece)
                return
            event = await trail.says(piece)
        stream.finish()  # trailers: no body can follow them, so bytes that never became an event are dropped
        closed(trail, stream)
        await Answer(PassTrailers())
    except Blocked as why:
        await cut(trail, route, event, why.before, refusals.blocked("answer", why.kinds))
    except Unreadable as why:
        message = f"The provider's stream can't be read: {why}. The rest was not passed on."
        await cut(trail, route, event, why.before, UpstreamError(message, termination="upstream_garbage"))
    finally:
        note(trail, stream)
        trail.row.chunks = stream.chunks
        trail.used(stream.usage, route, model, stream.text_bytes_out, whole=stream.done or bool(stream.finish_reasons))


async def fed(stream: StreamedAnswer, data: bytes, route: Route, wanted: Actions) -> bytes:
    """What may leave of the stream once it has `data`. A heavy event is looked into where it holds up nobody else."""
    out = stream.feed(data)
    while stream.heavy and stream.heavy.data:
        heavy = stream.heavy.data
        try:
            looked = await Compute(places.weight(heavy), looked_into, (route, heavy, wanted, STREAM_DEPTH))
            out += stream.go_on(looked)
        except (Blocked, Unreadable) as why:
            why.before = out + why.before
            raise
    return out


def closed(trail: Trail, stream: StreamedAnswer, out: bytes = b"") -> None:
    """The stream came to an end: complete if it said so itself, by its end mark or by its choices' reasons.

    Raises:
        Unreadable: nothing in it was an event. The app must hear of that; a stream that is only cut short tells by itself.
    """
    if stream.truncated and not stream.chunks:
        raise Unreadable("it holds no whole event", out)
    if stream.failed:
        trail.ended(OK, "failed", "upstream_status", UpstreamError.code)
    elif stream.done or stream.finish_reasons:
        trail.ended(OK, "served", "complete")
    else:
        trail.ended(OK, "failed", "truncated", UpstreamError.code)


async def cut(trail: Trail, route: Route, event: Event, before: bytes, why: Refused) -> None:
    """End a stream whose head has already left: what may still leave, one event that the app's SDK raises, then nothing."""
    trail.refused(why, status=OK)
    if not isinstance(event, ResponseBody):
        await Answer(Cut())  # trailers: no body can follow them
        return
    last_words = before + route.dialect.stream_refusal(why, trail.row.id)
    trail.row.response_bytes += len(last_words)
    if event.end:
        await Answer(PassBody(last_words))
    else:
        await silenced(trail, await trail.says(PassBody(last_words)), until=event.at + LAST_WORDS_NS)


LAST_WORDS_NS: Final = 1_000_000_000
"""A reset takes along what Envoy has not written yet, so the app gets this long to read why. SDKs hang up by then."""


async def silenced(trail: Trail, event: Event, until: int) -> None:
    """Pass nothing more. A stream that ends soon may end cleanly; one that goes on is reset, and the provider with it."""
    while isinstance(event, ResponseBody) and not event.end:
        if event.at >= until:
            await Answer(Cut())
            return
        event = await trail.says(PassBody(b""))
    await Answer(PassBody(b"") if isinstance(event, ResponseBody) else PassTrailers())


def note(trail: Trail, seen: BufferedAnswer | StreamedAnswer) -> None:
    """Keep what the answer said of itself, and what was found in it."""
    row = trail.row
    row.findings_answer, row.redacted_answer = dict(seen.findings), seen.redacted
    row.actions = {**row.actions, **{f"answer.{kind}": action for kind, action in seen.actions.items()}}
    row.model_served, row.provider_request_id = seen.model, seen.id
    row.finish_reason = ",".join(seen.finish_reasons)
