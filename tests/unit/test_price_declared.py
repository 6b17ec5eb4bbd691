"""Own prices in the declarative file: read exactly, shown as they were written, kept with their version."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Unusable
from contracts.usage import Price, Tier, Usage
from controlplane.estate.declared_prices import CLASSES, FEES, prices_at, prices_given, prices_kept, prices_shown
from extproc.yaml_lines import read

QUOTES = st.decimals(min_value=0, max_value=999_999, places=9)
YEAR_2027 = 1_798_761_600


def read_in(text: str) -> tuple[Price, ...]:
    """A `price:` of a file. Raises Unusable with what is wrong."""
    item = read(f"price: {text}", "gate.yaml").entries()["price"]
    found = prices_at(item)
    item.problems.stop()
    return found


def wrong(text: str) -> str:
    """What is said of a `price:`."""
    with pytest.raises(Unusable) as caught:
        read_in(text)
    return str(caught.value)


def test_two_quotes_are_enough() -> None:
    """As it always was: input and output, in dollars for a million tokens."""
    assert read_in("{input: 0.15, output: 0.60}") == (Price(150_000_000, 600_000_000, ""),)


def test_every_class_has_its_quote() -> None:
    """Tokens for a million, requests and searches for a thousand."""
    (price,) = read_in(
        "{input: 1, output: 2, cache_read: 3, cache_write: 4, cache_write_1h: 5, reasoning: 6, input_audio: 7, input_image: 8, "
        "output_audio: 9, request: 10, web_search: 11, file_search: 12}"
    )
    assert [getattr(price, name) for name in CLASSES] == [quote * 10**9 for quote in (1, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert [getattr(price, name) for name in FEES] == [quote * 10**12 for quote in (10, 11, 12)]
    assert price.cost(Usage(web_searches=2)) == 10_000_000 + 22_000_000


def test_tiers_are_tried_from_the_highest() -> None:
    """In whatever order they stand in the file."""
    (price,) = read_in("{input: 1, output: 1, above: {100: {input: 2, output: 2}, 200: {input: 3, output: 3, cache_read: 1}}}")
    assert price.above == (Tier(3 * 10**9, 3 * 10**9, cache_read=10**9, above=200), Tier(2 * 10**9, 2 * 10**9, above=100))


def test_several_prices_have_their_days() -> None:
    """A date is its first moment in UTC."""
    prices = read_in("[{input: 1, output: 1}, {input: 2, output: 2, from: 2027-01-01}, {input: 3, output: 3, from: 2027-01-01T08:00:00Z}]")
    assert [price.since for price in prices] == [0, YEAR_2027, YEAR_2027 + 8 * 3600]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{input: 1}", "gate.yaml:1: price: 'output' is missing"),
        ("{input: 1, output: 2, cached: 3}", "price.cached: unknown field; did you mean 'cache_read'?"),
        ("{input: 1, output: dear}", "price.output: must be US dollars"),
        ("{input: -1, output: 2}", "price.input: must be US dollars"),
        ("{input: 1, output: 1e3}", "price.output: must be US dollars"),
        ("{input: 1, output: 0.1234567891}", "price.output: has more than nine decimals"),
        ("{input: 1, output: 2, request: }", "price.request: is empty"),
        ("{input: 1, output: 2, from: soon}", "price.from: must be a date"),
        ("{input: 1, output: 2, above: {many: {input: 1, output: 2}}}", "price.above.many: is no number of input tokens"),
        ("{input: 1, output: 2, above: {0: {input: 1, output: 2}}}", "price.above.0: is no number of input tokens"),
        ("{input: 1, output: 2, above: {9: {input: 1}}}", "price.above.9: 'output' is missing"),
        ("{input: 1, output: 2, above: {9: {input: 1, output: 2}, 09: {input: 1, output: 2}}}", "price.above: names the same number"),
        ("{input: 1, output: 2, above: {9: {input: 1, output: 2, request: 3}}}", "price.above.9.request: unknown field"),
        ("[]", "price: is an empty list"),
        ("[{input: 1, output: 2}, {input: 1, output: 2}]", "price[1]: must have a `from` later"),
        ("[{input: 1, output: 2, from: 2027-01-02}, {input: 1, output: 2, from: 2027-01-01}]", "price[1]: must have a `from` later"),
        ("cheap", "price: must be a table"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    """And no price comes of it."""
    assert told in wrong(text)


def test_a_call_gives_prices_as_a_file_does() -> None:
    """With exact numbers; complaints name the field."""
    assert prices_given({"input": Decimal("0.15"), "output": Decimal("0.60")}) == (read_in("{input: 0.15, output: 0.60}"), [])
    prices, faults = prices_given({"input": Decimal(1)})
    assert prices == ()
    assert faults == [("price", "'output' is missing")]


@st.composite
def written(draw: st.DrawFn) -> Any:
    """A `price` as a file may have it."""

    def rates() -> dict[str, str]:
        names = draw(st.sets(st.sampled_from(CLASSES))) | {"input", "output"}
        return {name: f"{draw(QUOTES):f}" for name in names}

    def price(since: int) -> dict[str, Any]:
        table: dict[str, Any] = rates() | {name: f"{draw(QUOTES):f}" for name in draw(st.sets(st.sampled_from(FEES)))}
        thresholds = draw(st.sets(st.integers(1, 10**7), max_size=3))
        if thresholds:
            table["above"] = {above: rates() for above in thresholds}
        return table | ({"from": f"2027-01-{since:02d}"} if since else {})

    days = sorted(draw(st.sets(st.integers(0, 31), min_size=1, max_size=3)))
    return [price(day) for day in days]


@given(written())
def test_what_is_shown_reads_back_as_the_same(price: Any) -> None:
    """So an exported file, applied, changes nothing."""
    prices = read_in(yaml.safe_dump(price, default_flow_style=True, width=10**6))
    assert len(prices) == len(price)
    assert read_in(yaml.safe_dump(prices_shown(prices), default_flow_style=True, width=10**6)) == prices
    assert prices_given(prices_shown(prices)) == (prices, [])


def test_a_price_keeps_its_version_until_it_changes() -> None:
    """Rows name the price they were made with."""
    before = prices_kept(read_in("{input: 1, output: 2}"), (), 7)
    assert [price.version for price in before] == ["declared:7"]
    assert prices_kept(read_in("{input: 1.00, output: 2.0}"), before, 8) == before
    changed = prices_kept(read_in("{input: 1, output: 2, cache_read: 0}"), before, 9)
    assert [price.version for price in changed] == ["declared:9"]
    assert prices_kept((), before, 10) == ()
