"""The story of one request, from its head to its row.

`exchange` is stepped by the driver, never scheduled: it awaits only effects (effects.py). Whatever
ends it (an answer, a refusal, the app going away, a bug), its row is emitted exactly once.

One rule bears all others: a request leaves for a provider only by `OpenRoute`, which comes after the
verdict, the redaction and the intent record. Envoy routes to no provider without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.audit import Intent
from contracts.errors import (
    GateUnavailable,
    InvalidRequest,
    NotAllowed,
    PolicyUnavailable,
    Refused,
    UnknownRoute,
    UnpricedModel,
    UnsupportedFeature,
)
from contracts.policy import PolicyInput, Principal, Verdict
from contracts.settings import Limits
from contracts.snapshot import ModelRecord, Snapshot
from custody.secret import Secret
from extproc.core import body, credentials, dialects, encodings, headers, keys, listing, places, prompt, refusals, relay
from extproc.core.dialects import Call, Route
from extproc.core.effects import (
    Answer,
    AskPolicy,
    Clock,
    Complain,
    Compute,
    Emit,
    Hold,
    OpenCredential,
    OpenRoute,
    OwnAnswer,
    PassHead,
    Pause,
    Record,
    TakeTurn,
)
from extproc.core.events import Gone, RequestBody, RequestHead, ResponseHead
from extproc.core.trail import Trail, keyless
from extproc.core.world import Asker, Circle, World


async def exchange(world: World, head: RequestHead) -> None:
    """One request and its answer, start to end."""
    trail = Trail.start(head, world.snapshot, world.plane, world.version)
    route: Route | None = None
    try:
        route = trail.on(declared(head))
        asker = keys.known(world, head)
        trail.asked_by(asker)
        if asker.rehash:
            await asker.rehash
        trail.row.metadata = {name: keyless(text) for name, text in metadata(head).items()}
        if not route.upstream_path:
            await listed(trail, world, head, route, asker)
            return
        raw = await request_body(trail, world.limits, head)
        reading = await understood(trail, route, raw, world.limits)
        call = reading.call
        ceiling = prompt.ceiling(call, asker.key.max_tokens)
        trail.asks(call, len(raw), declared=call.model in world.snapshot.models, ceiling=ceiling)
        model = target(world.snapshot, call)
        trail.goes_to(model)
        verdict = trail.judged(await decided(trail, policy_input(world, head, route, model, asker, reading, len(raw))))
        permitted(verdict)
        spoken(world.snapshot, route, model)
        trail.row.actions = {f"prompt.{kind}": action for kind, action in prompt.done(reading, verdict.actions).items()}
        clean = await cleaned(trail, raw, reading, verdict, model, asker)
        credential = await chosen(trail, credentials.open_to(world, model, asker.key))
        await Record(Intent(row=trail.row))
        secret = await OpenCredential(credential)
        answer = await sent_on(trail, route, model, clean, secret)
        await relay.answer(trail, route, call, model, verdict, world.limits, answer, secret)
    except Refused as refused:
        trail.refused(refused)
        await Answer(refusals.reply(route, refused, trail.row))
    except Gone:
        trail.left()
    except Exception as fault:  # noqa: BLE001 - whatever broke, the request stops here and its row is written
        await Complain(fault)
        why = GateUnavailable(BROKE)
        trail.refused(why)
        await Answer(refusals.reply(route, why, trail.row))
    finally:
        await Emit(trail.closed(await Clock()))


BROKE: Final = "The gate could not handle this exchange. Tell whoever runs the gate, with this request id."


# ── the stages, in order ──────────────────────────────────────────────────────


def declared(head: RequestHead) -> Route:
    """The declared route of this method and path; everything else does not exist."""
    target = headers.first(head.headers, ":path")
    path, mark, query = target.partition("?")
    route = dialects.of(headers.first(head.headers, ":method"), path)
    if route is None:
        raise UnknownRoute("This gate serves no such path. Served are: " + dialects.SERVED + ".")
    if mark and not (query and query == route.query):
        raise InvalidRequest("This path takes no query parameters: they are not forwarded. Remove the part after '?'.")
    return route


def metadata(head: RequestHead) -> dict[str, str]:
    """The app's own labels."""
    try:
        return headers.metadata(head.headers)
    except body.Malformed as why:
        raise InvalidRequest(f"{why}.") from None


async def request_body(trail: Trail, limits: Limits, head: RequestHead) -> bytes:
    """The whole body, decoded. Only headers of the allow-list go on; the app's key is not among them."""
    if head.end:
        raise InvalidRequest("The request has no body.")
    if not headers.is_json(head.headers):
        raise InvalidRequest("Send the body as application/json, in UTF-8.")
    coding = encodings.coding(head.headers)
    await Hold(headers.length(head.headers))
    event = await trail.says(PassHead(headers.ASK, (*headers.strip(head.headers), *headers.not_sent(head.headers))))
    if isinstance(event, ResponseHead):
        raise refusals.by_envoy(event)
    if not isinstance(event, RequestBody):
        raise TypeError("Envoy sent no request body after the head")
    raw = event.data
    if coding:
        raw = await Compute(encodings.weight(raw, coding), encodings.decode, (raw, coding, limits.request_bytes))
    await Hold(len(raw))
    return raw


async def understood(trail: Trail, route: Route, raw: bytes, limits: Limits) -> prompt.Reading:
    """The body as a call of its dialect, and what personal data is in it: where, which kinds, how many."""
    began = await Clock()
    reading = await Compute(places.weight(raw), prompt.understood, (route, raw, limits.json_depth))
    trail.row.redact_us = (await Clock() - began) // 1000
    trail.row.findings_prompt = reading.counts
    return reading


def target(snapshot: Snapshot, call: Call) -> ModelRecord:
    """Where the model asked for goes. An undeclared one is refused like one that the key may not use."""
    model = snapshot.models.get(call.model)
    if model is None:
        raise NotAllowed(NO_SUCH_MODEL, reasons=("model_not_allowed",))
    return model


def spoken(snapshot: Snapshot, route: Route, model: ModelRecord) -> None:
    """The model's provider speaks the route's dialect. Asked after the verdict, so that nobody learns of models that are not theirs."""
    provider = snapshot.providers.get(model.provider)
    if provider is None or provider.dialect != route.dialect.name:
        other = provider.dialect if provider else "none"
        raise InvalidRequest(f"The model {model.name} is not served on {route.path}: its provider speaks another dialect ({other}).")


NO_SUCH_MODEL: Final = "This key may not use that model. Ask whoever runs this gate which models it may use."


def policy_input(
    world: World, head: RequestHead, route: Route, model: ModelRecord, asker: Asker, reading: prompt.Reading, size: int
) -> PolicyInput:
    """What the rules get to know: who, what, where from and how much; no text."""
    key, profile, call = asker.key, asker.profile, reading.call
    return PolicyInput(
        principal=Principal(world.snapshot.organisation, key.team, key.project, key.environment, key.id, key.name, asker.user),
        route=route.name,
        dialect=route.dialect.name,
        model=model.name,
        provider=model.provider,
        upstream_model=model.upstream,
        priced=priced(route, model, head.seconds),
        stream=call.stream,
        source_address=head.source_address,
        time_ns=head.time,
        request_bytes=size,
        max_tokens=call.max_tokens,
        features=call.features,
        findings_prompt=reading.counts,
        key_models=key.models,
        key_routes=key.routes,
        key_providers=key.providers,
        key_addresses=key.addresses,
        key_max_tokens=key.max_tokens,
        profile_prompt=profile.prompt,
        profile_answer=profile.answer,
        profile_unscanned=profile.unscanned,
        zero_data_retention=asker.environment.zero_data_retention,
        unpriced=asker.environment.unpriced,
    )


def priced(route: Route, model: ModelRecord, now: int) -> bool:
    """Whether the cost will be known: the model has a price, or the route costs nothing. In a list of models the price counts.

    `now`: seconds.
    """
    return model.price_at(now) is not None or (route.price == "free" and bool(route.upstream_path))


async def decided(trail: Trail, question: PolicyInput) -> Verdict:
    """The verdict on this request, made afresh."""
    asked = await Clock()
    verdict = await AskPolicy(question)
    trail.row.policy_us = (await Clock() - asked) // 1000
    if verdict.upstream not in (None, (question.provider, question.upstream_model)):
        raise PolicyUnavailable("A rule chose another target, which this version can't follow. Tell whoever runs the gate.")
    return verdict


def permitted(verdict: Verdict) -> None:
    """Stop here unless the rules allow it."""
    if verdict.allow:
        return
    said_why = "; ".join(reason.message for reason in verdict.reasons) or "No rule allows this request."
    codes = tuple(reason.code for reason in verdict.reasons)
    kind = OF_RULES.get(codes[0], NotAllowed) if len(set(codes)) == 1 else NotAllowed
    raise kind(said_why, reasons=codes)


OF_RULES: Final[Mapping[str, type[Refused]]] = {kind.code: kind for kind in (UnsupportedFeature, UnpricedModel)}
"""Refusals that have the name of a rule's reason, where that is the only one."""


async def cleaned(trail: Trail, raw: bytes, reading: prompt.Reading, verdict: Verdict, model: ModelRecord, asker: Asker) -> bytes:
    """What goes to the provider: edited where something was found, with the provider's name of the model, and what the gate asks for."""
    call = reading.call
    more = [*call.asks, *prompt.capped(call, asker.key.max_tokens), *(call.forgets if asker.environment.zero_data_retention else ())]
    if model.upstream != call.model or not call.names_model:
        more.append(prompt.named(model.upstream, call))
    if not more and not reading.places:
        return raw
    began = await Clock()
    clean: bytes
    weight = places.weight(raw, sum(reading.counts.values()))
    clean, trail.row.redacted_prompt = await Compute(weight, prompt.cleaned, (raw, reading, verdict.actions, more))
    trail.row.redact_us += (await Clock() - began) // 1000
    return clean


async def chosen(trail: Trail, circle: Circle) -> str:
    """The credential whose turn it is, on the row before it is used; empty where the provider has none."""
    name = ""
    if len(circle.members) > 1:
        name = circle.members[await TakeTurn(circle.name) % len(circle.members)]
    elif circle.members:
        name = circle.members[0]
    trail.opens(name)
    return name


async def listed(trail: Trail, world: World, head: RequestHead, route: Route, asker: Asker) -> None:
    """The gate's own answer to who asks for models: those that the rules would let this key use now."""
    if not head.end:
        raise InvalidRequest("This path takes no body.")
    allowed: list[ModelRecord] = []
    for number, model in enumerate(world.snapshot.models.values(), 1):
        if number % AT_A_TIME == 0:
            await Pause()
        asked = prompt.Reading(Call(model.name), (), {})
        if trail.judged(await decided(trail, policy_input(world, head, route, model, asker, asked, size=0))).allow:
            allowed.append(model)
    said = listing.document(allowed)
    trail.listed(len(said))
    await Answer(OwnAnswer(200, (*refusals.told(trail.row), ("content-type", "application/json")), said, "served"))


AT_A_TIME: Final = 16
"""Models that are decided on in one go: about 2 ms, in which nobody else is served."""


async def sent_on(trail: Trail, route: Route, model: ModelRecord, clean: bytes, secret: Secret) -> ResponseHead:
    """Open the route to the provider, and wait for the head of its answer."""
    name, prefix = route.dialect.credential_header
    trail.sent(route, model)
    event = await trail.says(OpenRoute(model.provider, route.name, name, prefix, secret, clean))
    if not isinstance(event, ResponseHead):
        raise TypeError("Envoy sent something else than a response head")
    if event.local:
        raise refusals.by_envoy(event)
    trail.answered(event)
    return event
