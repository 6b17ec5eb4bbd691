"""Tokens, prices and money.

Money is an integer count of nano-US-dollars (1 USD = 1_000_000_000). A price is nano-dollars for one million of what is
paid for, because vendors quote dollars a million tokens and some quotes are no whole number of nano-dollars for one token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

NANO: Final = 1_000_000_000
MILLION: Final = 1_000_000
_DAY: Final = 86_400

WIDER: Final[Mapping[str, str]] = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "input_audio": "input",
    "input_image": "input",
    "output": "input",
    "reasoning": "output",
    "output_audio": "output",
}
"""Class of tokens → the one whose price it has where it has none of its own. Models without a price for output write no tokens."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one exchange used. `input` is all that was read, `output` all that was written; the rest says how much of these was what.

    Of `input`: `cache_read`, `cache_write` (for any time) and of that `cache_write_1h`, `input_audio`, `input_image`.
    Of `output`: `reasoning`, `output_audio`. Beside them: searches that the provider made, on the web and in the files it keeps.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    input_image: int = 0
    output_audio: int = 0
    web_searches: int = 0
    file_searches: int = 0

    def classes(self) -> Iterator[tuple[str, int]]:
        """Each token once, in the class that it is paid in.

        No provider says which of the tokens from its cache were sound or images. These, the dearer ones, are taken first.
        """
        yield from _shared(
            self.input,
            ("input_audio", self.input_audio),
            ("input_image", self.input_image),
            ("cache_write_1h", self.cache_write_1h),
            ("cache_write", self.cache_write - self.cache_write_1h),
            ("cache_read", self.cache_read),
            ("input", self.input),
        )
        yield from _shared(self.output, ("output_audio", self.output_audio), ("reasoning", self.reasoning), ("output", self.output))


def _shared(whole: int, *parts: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """The parts in their order, together no more than the whole: a provider's counts may contradict each other."""
    for name, count in parts:
        taken = min(max(count, 0), whole)
        whole -= taken
        yield name, taken


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-dollars for a million tokens of each class; None: as the class that WIDER names."""

    input: int
    output: int | None
    cache_read: int | None = field(default=None, kw_only=True)
    cache_write: int | None = field(default=None, kw_only=True)
    cache_write_1h: int | None = field(default=None, kw_only=True)
    reasoning: int | None = field(default=None, kw_only=True)
    input_audio: int | None = field(default=None, kw_only=True)
    input_image: int | None = field(default=None, kw_only=True)
    output_audio: int | None = field(default=None, kw_only=True)

    def rate(self, name: str) -> int:
        """What a million tokens of a class cost."""
        own: int | None = getattr(self, name)
        return self.rate(WIDER[name]) if own is None else own


@dataclass(frozen=True, slots=True)
class Tier(Rates):
    """Rates for the whole of an exchange that read more than `above` tokens, those from the cache among them."""

    above: int


@dataclass(frozen=True, slots=True)
class Price(Rates):
    """What a model costs from a moment on. `version` is stamped into every row.

    `request`, `web_search`, `file_search`: nano-dollars for a million of them. `above`: dearer tiers, by falling threshold.
    `since`: seconds of the Unix epoch. `daily`: only from the one to before the other, in seconds of the day in UTC; a second
    one that is not the later lies on the next day.
    """

    version: str
    request: int = field(default=0, kw_only=True)
    web_search: int = field(default=0, kw_only=True)
    file_search: int = field(default=0, kw_only=True)
    above: tuple[Tier, ...] = field(default=(), kw_only=True)
    since: int = field(default=0, kw_only=True)
    daily: tuple[int, int] | None = field(default=None, kw_only=True)

    def holds(self, seconds: int) -> bool:
        """Whether this is a price of that moment."""
        if seconds < self.since or self.daily is None:
            return seconds >= self.since
        (begin, end), now = self.daily, seconds % _DAY
        return begin <= now < end if begin <= end else now >= begin or now < end

    def cost(self, usage: Usage) -> int:
        """Nano-dollars for `usage`, rounded up: a part of a nano-dollar is still owed."""
        rates = next((tier for tier in self.above if usage.input > tier.above), self)
        exact = sum(count * rates.rate(name) for name, count in usage.classes())
        exact += self.request + usage.web_searches * self.web_search + usage.file_searches * self.file_search
        return -(-exact // MILLION)


def price_at(prices: Sequence[Price], seconds: int) -> Price | None:
    """The price of a moment, in seconds of the Unix epoch: the last that holds then; None where none is known."""
    return next((price for price in reversed(prices) if price.holds(seconds)), None)


def nano(quote: Decimal) -> int:
    """Dollars as nano-dollars: a quote in dollars for a million is the price for a million. Exact up to nine decimals, else the nearest."""
    return int((quote * NANO).to_integral_value(ROUND_HALF_EVEN))


def price_of(document: Mapping[str, Any]) -> Price:
    """Read a price from the JSON object that `dataclasses.asdict` gives. One of another shape raises TypeError."""
    found = dict(document)
    found["above"] = tuple(Tier(**tier) for tier in found.get("above", ()))
    found["daily"] = tuple(found["daily"]) if found.get("daily") else None
    return Price(**found)


def usd(nano: int) -> str:
    """Write nano-dollars as dollars, exactly: `usd(1_500)` is `0.0000015`."""
    whole, part = divmod(abs(nano), NANO)
    sign = "-" if nano < 0 else ""
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")
