"""What is known of an exchange so far: the row under construction, and the clock of our own share.

The story in exchange.py says what happened; the trail keeps it. Nothing here decides anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from contracts.audit import AuditRow
from contracts.errors import Refused, UpstreamError, UpstreamTimeout
from contracts.policy import Verdict
from contracts.snapshot import ModelRecord, Snapshot
from contracts.usage import Usage, usd
from extproc.core import headers
from extproc.core.answer import estimated_tokens
from extproc.core.dialects import Call, Route
from extproc.core.effects import Next, Reply
from extproc.core.events import SECOND, Event, RequestHead, ResponseHead
from extproc.core.world import Asker
from extproc.redact.kept import told

UNDECLARED: Final = "(undeclared)"
"""Stands for a model that nobody declared: its name is the caller's text, and may be anything, a key pasted by mistake too."""

FREE: Final = "free"
"""The price of routes that providers don't charge for."""

_KEY: Final = re.compile(r"pcl_[0-9A-Za-z_]{20,}")
"""A virtual key, or most of one, in a text that the app chose."""

_MOST_16, _MOST_32, _MOST_64 = (1 << 16) - 1, (1 << 32) - 1, (1 << 64) - 1
_ANSWERED: Final = range(200, 300)
_AGENT_LENGTH: Final = 200
_PATH_LENGTH: Final = 512


def keyless(text: str) -> str:
    """A text of the app's without the virtual key it may hold by mistake."""
    return _KEY.sub("[virtual key]", text) if "pcl_" in text else text


@lru_cache(maxsize=512)
def shown(text: str) -> str:
    """A text of the app's that says nothing of whom it serves, and so holds no personal data in the row. Apps repeat themselves."""
    return told(keyless(text))


@dataclass(slots=True)
class Trail:
    """The row being written, and how long the gate itself has been at work."""

    row: AuditRow
    began: int
    idle: int = 0
    unpaid: tuple[Route, ModelRecord] | None = None

    @classmethod
    def start(cls, head: RequestHead, snapshot: Snapshot, plane: str, version: str) -> Trail:
        """A trail that knows the head."""
        trace_id, span_id = headers.traceparent(head.headers)
        return cls(
            AuditRow(
                id=head.id,
                time=head.time,
                decision_id=head.decision_id,
                envoy_id=head.envoy_id,
                snapshot_revision=snapshot.revision,
                organisation=snapshot.organisation,
                client_address=head.source_address,
                method=headers.first(head.headers, ":method"),
                path=shown(headers.first(head.headers, ":path").partition("?")[0])[:_PATH_LENGTH],
                user_agent=shown(headers.first(head.headers, "user-agent"))[:_AGENT_LENGTH],
                trace_id=trace_id,
                span_id=span_id,
                plane=plane,
                gateway_version=version,
            ),
            began=head.at,
        )

    # ── our own time ──────────────────────────────────────────────────────────

    async def says(self, reply: Reply) -> Event:
        """Answer the message in hand and wait for the next; that wait is not the gate's time."""
        event = await Next(reply)
        self.idle += event.idle
        return event

    # ── who and what ──────────────────────────────────────────────────────────

    def on(self, route: Route) -> Route:
        """The route is declared."""
        self.row.route, self.row.dialect = route.name, route.dialect.name
        return route

    def asked_by(self, asker: Asker) -> None:
        """The virtual key is known."""
        row, key = self.row, asker.key
        row.key_id, row.key_name, row.team, row.project = key.id, key.name, key.team, key.project
        row.environment, row.profile, row.key_old_secret = key.environment, key.profile, asker.old_secret
        row.user, row.zero_data_retention = keyless(asker.user), asker.environment.zero_data_retention

    def asks(self, call: Call, size: int, *, declared: bool, ceiling: int | None) -> None:
        """The body is read. `ceiling`: tokens of an answer, whoever has set it."""
        row = self.row
        row.model_asked = call.model if declared else UNDECLARED
        # Columns have a width, and a row that does not fit is not stored: an app may ask for what it likes.
        row.stream, row.max_tokens, row.choices = call.stream, min(ceiling or 0, _MOST_32), min(call.choices, _MOST_16)
        row.messages, row.tools, row.request_bytes = call.messages, min(call.tools, _MOST_16), size

    def goes_to(self, model: ModelRecord) -> None:
        """The target is known."""
        self.row.provider = model.provider

    def opens(self, credential: str) -> None:
        """The credential is chosen; empty: the provider is asked without one."""
        self.row.credential = credential

    def listed(self, size: int) -> None:
        """The gate itself has answered, and asked no provider."""
        self.row.allow, self.row.reasons, self.row.response_bytes = True, (), size
        self.ended(200, "served", "complete")

    def judged(self, verdict: Verdict) -> Verdict:
        """The verdict is in."""
        row = self.row
        row.allow, row.policy_revision = verdict.allow, verdict.revision
        row.reasons = tuple(reason.code for reason in verdict.reasons)
        row.warnings = tuple(warning.code for warning in verdict.warnings)
        return verdict

    # ── what became of it ─────────────────────────────────────────────────────

    def sent(self, route: Route, model: ModelRecord) -> None:
        """The prompt is on its way to the provider, who will want to be paid for it whoever leaves now."""
        self.unpaid = route, model

    def left(self) -> None:
        """The app or the provider has gone. The access log's flags tell who it was; ingest joins them."""
        if self.unpaid:
            self.used(None, *self.unpaid, text_bytes=0)
        self.ended(0, "aborted", "gone")

    def answered(self, head: ResponseHead) -> None:
        """The provider's head is here."""
        self.row.provider_status = head.status
        self.row.upstream_us = head.idle // 1000

    def first_bytes(self, at: int) -> None:
        """The first piece of the answer's body is here."""
        if not self.row.first_token_us:
            self.row.first_token_us = (at - self.began) // 1000

    def used(self, usage: Usage | None, route: Route, model: ModelRecord, text_bytes: int, *, whole: bool = True) -> None:
        """Tokens and their cost: as the provider counts, else an estimate of what flowed, marked as one.

        `whole`: the answer came to its end, so the provider's count is its last. Never zero for bytes that flowed: a prompt
        has tokens, whatever the provider says.
        """
        row, self.unpaid = self.row, None
        asked = usage.input if usage and usage.input else estimated_tokens(row.request_bytes)
        known = replace(usage or Usage(), input=asked)
        guess = estimated_tokens(text_bytes) if not (usage and whole and usage.output) else 0
        row.usage_source = "estimated" if usage is None or asked != usage.input or guess > known.output else "provider"
        known = replace(known, output=max(known.output, guess))
        row.input_tokens, row.output_tokens = known.input, known.output
        row.cache_read_tokens, row.cache_write_tokens, row.cache_write_1h_tokens = known.cache_read, known.cache_write, known.cache_write_1h
        row.reasoning_tokens, row.output_audio_tokens = known.reasoning, known.output_audio
        row.input_audio_tokens, row.input_image_tokens = known.input_audio, known.input_image
        row.web_searches, row.file_searches = min(known.web_searches, _MOST_32), min(known.file_searches, _MOST_32)
        if route.price == "free":
            row.price_version = FREE
        elif price := model.price_at(row.time // SECOND):
            row.cost_nanousd, row.price_version = min(price.cost(known), _MOST_64), price.version

    @property
    def cost_usd(self) -> str | None:
        """Cost in dollars, for the app; None where no price is known."""
        return usd(self.row.cost_nanousd) if self.row.price_version else None

    def ended(self, status: int, outcome: str, termination: str, error_code: str = "") -> None:
        """The exchange is over, and this is how. What was said first stands: a cut stream's reset is no news."""
        if not self.row.outcome:
            self.row.status, self.row.outcome, self.row.termination, self.row.error_code = status, outcome, termination, error_code

    def refused(self, why: Refused, *, status: int | None = None) -> None:
        """The exchange is over by a refusal; a provider's failure is told apart from ours.

        `status` is what the app got, where the answer's head had left before the refusal. A provider that has answered, or
        is still at it, wants to be paid, though nobody could read or keep what it said.
        """
        if self.unpaid and (self.row.provider_status in _ANSWERED or isinstance(why, UpstreamTimeout)):
            self.used(None, *self.unpaid, text_bytes=0)
        upstream = isinstance(why, UpstreamError | UpstreamTimeout)
        cut = status is not None
        termination = why.termination if isinstance(why, UpstreamError) else why.code if upstream else "cut" if cut else "refused"
        self.ended(status or why.status, "failed" if upstream else "refused", termination, why.code)
        self.row.reasons = self.row.reasons or why.reasons

    def closed(self, now: int) -> AuditRow:
        """The finished row."""
        self.row.gate_us = (now - self.began - self.idle) // 1000
        self.row.total_us = (now - self.began) // 1000
        return self.row
