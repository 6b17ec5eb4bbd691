"""Prices as people declare them: US dollars for a million tokens by class, exactly; requests and searches for a thousand.

    price: {input: 0.15, output: 0.60}
    price:
      - {input: 3, output: 15, cache_read: 0.30, above: {200000: {input: 6, output: 22.50, cache_read: 0.60}}}
      - {input: 2, output: 10, from: 2027-01-01}

Of several the last whose time has come is in force; before the first's it is the price list's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

import yaml

from contracts.usage import Price, Rates, Tier, nano, usd
from controlplane.estate import declared_values as values
from controlplane.estate.declared_given import given, wrong_with
from controlplane.estate.edits_problems import Fault
from extproc.yaml_lines import Item

CLASSES: Final = tuple(entry.name for entry in fields(Rates))
FEES: Final = ("request", "web_search", "file_search")
"""Quoted for a thousand, as vendors do; kept for a million, as everything is."""

_REQUIRED: Final = ("input", "output")
_THOUSANDS: Final = 1000
_FIELDS: Final = (*CLASSES, *FEES, "above", "from")


def prices_at(item: Item) -> tuple[Price, ...]:
    """The prices that stand in a file, without a version yet; none where something is wrong, which is noted."""
    entries = item.items() if isinstance(item.node, yaml.SequenceNode) else [item]
    if not entries:
        item.wrong("is an empty list; leave `price` out for the prices of the price list")
    found = [(entry, _price(entry)) for entry in entries]
    prices = [price for _, price in found if price is not None]
    if len(prices) < len(found):
        return ()
    for (_, before), (entry, price) in itertools.pairwise(found):
        if before is not None and price is not None and price.since <= before.since:
            entry.wrong("must have a `from` later than that of the price before it; give the prices in the order of their days")
    return tuple(prices)


def _price(item: Item) -> Price | None:
    entries = item.fields(_FIELDS, _REQUIRED)
    rates = _rates(entries)
    fees = {name: _quote(entries[name]) for name in FEES if name in entries}
    since = entries["from"].read(values.moment) if "from" in entries else 0
    above = _tiers(entries["above"]) if "above" in entries else ()
    if rates is None or None in fees.values() or since is None or above is None:
        return None
    thousands: dict[str, Any] = {name: fee * _THOUSANDS for name, fee in fees.items() if fee is not None}
    return Price(**rates, **thousands, version="", above=above, since=since)


def _quote(item: Item) -> int | None:
    quote = item.read(values.dollars)
    return None if quote is None else nano(quote)


def _rates(entries: Mapping[str, Item]) -> dict[str, Any] | None:
    quotes = {name: _quote(entries[name]) for name in CLASSES if name in entries}
    return None if None in quotes.values() or not quotes.keys() >= {*_REQUIRED} else quotes


def _tiers(item: Item) -> tuple[Tier, ...] | None:
    """Dearer tiers by falling threshold; None where one is wrong. Classes that a tier leaves out go by its own wider ones."""
    found = []
    for name, entry in item.entries().items():
        rates = _rates(entry.fields(CLASSES, _REQUIRED))
        try:
            above = values.ceiling(values.whole(name))
        except ValueError:
            entry.wrong("is no number of input tokens; name a tier by the number above which it is paid, such as 200000")
            return None
        if rates is None:
            return None
        found.append(Tier(**rates, above=above))
    if len({tier.above for tier in found}) < len(found):
        item.wrong("names the same number of tokens twice")
        return None
    return tuple(sorted(found, key=lambda tier: -tier.above))


def prices_given(price: Any) -> tuple[tuple[Price, ...], list[Fault]]:
    """The prices that a call gives, as JSON with exact numbers, and what is wrong with them."""
    item = given(price, "price")
    return prices_at(item), wrong_with(item)


def prices_shown(prices: tuple[Price, ...]) -> Mapping[str, Any] | list[Mapping[str, Any]]:
    """The prices as they would stand in a file. There is at least one."""
    shown: list[Mapping[str, Any]] = [price_shown(price) for price in prices]
    return shown[0] if len(shown) == 1 else shown


def price_shown(price: Price) -> dict[str, Any]:
    """One price as it would stand in a file, but for its version."""
    shown: dict[str, Any] = _rates_shown(price)
    shown |= {name: usd(getattr(price, name) // _THOUSANDS) for name in FEES if getattr(price, name)}
    if price.above:
        shown["above"] = {str(tier.above): _rates_shown(tier) for tier in reversed(price.above)}
    if price.since:
        shown["from"] = values.when(price.since)
    return shown


def _rates_shown(rates: Rates) -> dict[str, str]:
    return {name: usd(paid) for name in CLASSES if (paid := getattr(rates, name)) is not None}


def prices_kept(prices: tuple[Price, ...], there: tuple[Price, ...], revision: int) -> tuple[Price, ...]:
    """Prices keep their version for as long as they stay the same, so rows name the price they were made with."""
    if [replace(price, version="") for price in there] == [replace(price, version="") for price in prices]:
        return there
    return tuple(replace(price, version=f"declared:{revision}") for price in prices)
