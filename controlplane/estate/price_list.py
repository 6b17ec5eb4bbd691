"""The prices of the list that is shipped: genai-prices (MIT), turned into integers of nano-dollars.

Its data is used, not its calculator, and never its updater: a newer list comes with a newer package. What the list says is
kept with its meaning (genai_prices/types.py): of several prices the last that holds is in force, and from a tier's threshold
on all of an exchange is paid at the tier's rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from re import match
from typing import TYPE_CHECKING, Any, Final

from contracts.snapshot import ModelRecord, ProviderRecord
from contracts.usage import Price, Tier, nano
from extproc.yaml_lines import suggestion

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, ModelInfo, Provider

RATES: Final[Mapping[str, str]] = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
    "input_audio_mtok": "input_audio",
    "input_image_mtok": "input_image",
    "output_audio_mtok": "output_audio",
}
"""The list's name of a class of tokens → ours."""

FEES: Final[Mapping[str, str]] = {
    "requests_kcount": "request",
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
}
"""The list's fees, for a thousand."""

UNTOLD: Final = frozenset({"cache_audio_read_mtok", "cache_image_read_mtok"})
"""Classes that no provider's usage tells apart here: they are paid as the dearer class that they are part of."""

_THOUSANDS: Final = 1000
_ENTRIES: Final = 4096


class Inexpressible(Exception):  # noqa: N818 - says what an entry of the list is
    """The price is for something that no usage here counts; `args` says for what."""


def priced(model: ModelRecord, provider: ProviderRecord) -> tuple[Price, ...]:
    """All that is known of what a model costs, for the planes: the last that holds at a moment is that moment's price.

    The declared prices; before the first of these holds, and where there are none, those of the list. Nothing: unknown.
    """
    if model.prices and not model.prices[0].since:
        return model.prices
    return (*listed(model, provider), *model.prices)


def listed(model: ModelRecord, provider: ProviderRecord) -> tuple[Price, ...]:
    """The list's prices of a model; nothing where it has no entry, an empty one, or one that can't be expressed."""
    entry = entry_of(model, provider)
    try:
        return converted(entry) if entry else ()
    except Inexpressible:
        return ()


def entry_of(model: ModelRecord, provider: ProviderRecord) -> ModelInfo | None:
    """The list's entry of the provider's URL and the upstream name, or of `priced_as`: `openai/gpt-4o-mini`."""
    return _named(model.priced_as) if model.priced_as else _at(provider.url, model.upstream)


@lru_cache(maxsize=_ENTRIES)
def _at(url: str, upstream: str) -> ModelInfo | None:
    there = [seller for seller in sellers() if match(seller.api_pattern, url)]
    found = [seller.find_model(upstream, all_providers=sellers()) for seller in there]
    return next((entry for entry in found if entry), None)


@lru_cache(maxsize=_ENTRIES)
def _named(name: str) -> ModelInfo | None:
    seller, _, upstream = name.partition("/")
    there = next((each for each in sellers() if each.id == seller), None)
    return there.find_model(upstream, all_providers=sellers()) if there else None


def known_as(name: str) -> str:
    """A `priced_as` that stands for an entry of the list. Raises ValueError with what to do."""
    if _named(name) is None:
        seller = name.partition("/")[0]
        there = seller in {each.id for each in sellers()}
        hint = "has no such model" if there else f"has no such seller{suggestion(seller, [each.id for each in sellers()])}"
        raise ValueError(f"the price list {hint}; write seller/model, such as openai/gpt-4o-mini, or give a `price`")
    return name


@cache
def sellers() -> list[Provider]:
    """The list. It is loaded when the first model is priced: the commands that price nothing start without it."""
    from genai_prices.data import providers  # noqa: PLC0415 - half a second, and pydantic

    return providers


@cache
def source() -> str:
    """What stands in a row that was priced by the list."""
    return f"genai-prices:{version('genai-prices')}"


# ── one entry ─────────────────────────────────────────────────────────────────


def converted(entry: ModelInfo) -> tuple[Price, ...]:
    """An entry's prices in its order, the ordinary ones only: batches and service tiers are not asked for through the gate.

    Raises:
        Inexpressible: one of them is for something that is not counted here, or is empty, which says nothing.
    """
    prices = entry.prices
    if not isinstance(prices, list):
        return (_price(vars(prices)),)
    # By the list's rule the first holds where no other does, whatever its own condition.
    return tuple(_price(vars(each.prices), *(_period(each) if number else (0, None))) for number, each in enumerate(prices))


def _period(conditional: ConditionalPrice) -> tuple[int, tuple[int, int] | None]:
    """From when, and at which times of the day, a price holds."""
    condition: Any = conditional.constraint
    if condition is None:
        return 0, None
    if hasattr(condition, "start_date"):
        return int(datetime.combine(condition.start_date, time(), UTC).timestamp()), None
    return 0, (_second(condition.start_time), _second(condition.end_time))


def _second(moment: time) -> int:
    """Second of the day in UTC. Times without a zone are in UTC, as the list says."""
    offset = moment.utcoffset()
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    return (second - (int(offset.total_seconds()) if offset else 0)) % 86_400


def _price(quotes: Mapping[str, Any], since: int = 0, daily: tuple[int, int] | None = None) -> Price:
    known = {name: quote for name, quote in quotes.items() if quote is not None}
    other = known.keys() - RATES.keys() - FEES.keys() - UNTOLD
    if other or "input_mtok" not in known:
        raise Inexpressible(", ".join(sorted(other)) or "nothing")
    rates = {ours: known[theirs] for theirs, ours in RATES.items() if theirs in known}
    fees = {ours: _plain(theirs, known[theirs]) for theirs, ours in FEES.items() if theirs in known}
    return Price(
        **_upto(rates, -1),
        **{name: nano(quote) * _THOUSANDS for name, quote in fees.items()},
        version=source(),
        above=tuple(Tier(**_upto(rates, start), above=start) for start in _starts(rates)),
        since=since,
        daily=daily,
    )


def _plain(name: str, quote: Any) -> Decimal:
    if not isinstance(quote, Decimal):
        raise Inexpressible(f"tiers of {name}")
    return quote


def _starts(rates: Mapping[str, Any]) -> Sequence[int]:
    """Every threshold at which a class changes its rate, the highest first."""
    return sorted({tier.start for quote in rates.values() for tier in getattr(quote, "tiers", ())}, reverse=True)


def _upto(rates: Mapping[str, Any], start: int) -> dict[str, Any]:
    """The rates of an exchange that read more than `start`, and no more than the next threshold. No output: None."""
    found: dict[str, Any] = {"output": None}
    for name, quote in rates.items():
        base = getattr(quote, "base", quote)
        reached = [tier for tier in getattr(quote, "tiers", ()) if tier.start <= start]
        found[name] = nano(max(reached, key=lambda tier: tier.start).price if reached else base)
    return found
