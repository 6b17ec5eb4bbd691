"""What a model costs, for people and scripts: `GET /models` and `portcullis models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.snapshot import ModelRecord, ProviderRecord
from contracts.usage import Price, price_at
from controlplane.estate.declared_prices import price_shown
from controlplane.estate.declared_values import when
from controlplane.estate.price_list import entry_of, priced

_MINUTE = 60


def price_sheet(model: ModelRecord, provider: ProviderRecord, now: int) -> dict[str, Any]:
    """A model with its prices as JSON. `now`: seconds of the Unix epoch.

    `price` is that of now, null where none is known; `prices` are all, the last that holds at a moment being that moment's.
    Amounts are texts in US dollars: for a million tokens of a class, for a thousand requests or searches. `context` is in
    tokens, null where the price list does not know the model.
    """
    prices = priced(model, provider)
    current = price_at(prices, now)
    entry = entry_of(model, provider)
    return {
        "name": model.name,
        "provider": model.provider,
        "model": model.upstream,
        "priced_as": model.priced_as or None,
        "context": entry.context_window if entry else None,
        "price": _shown(current) if current else None,
        "prices": [_shown(price) | {"until": end} for price, end in zip(prices, _ends(prices), strict=True)],
    }


def _shown(price: Price) -> dict[str, Any]:
    declared = price_shown(price)
    return {
        "version": price.version,
        **declared,
        "above": declared.get("above", {}),
        "from": declared.get("from"),
        "daily": [_clock(second) for second in price.daily] if price.daily else None,
    }


def _clock(second: int) -> str:
    """A second of the day as its time in UTC."""
    minutes, seconds = divmod(second, _MINUTE)
    return f"{minutes // _MINUTE:02d}:{minutes % _MINUTE:02d}" + (f":{seconds:02d}" if seconds else "") + "Z"


def _ends(prices: Sequence[Price]) -> list[str | None]:
    """When each price ends for good: where a later one begins that holds all day."""
    ends: list[str | None] = []
    for number, price in enumerate(prices):
        later = [each.since for each in prices[number + 1 :] if each.daily is None and each.since >= price.since]
        ends.append(when(min(later)) if later else None)
    return ends
