"""Money is whole nano-dollars, from the quote to the row: docs/adr/0008-money-as-integers.md."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, get_type_hints

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.audit import COLUMNS, AuditRow
from contracts.snapshot import ModelRecord, document, record_of
from contracts.usage import MILLION, Price, Tier, Usage, nano, price_at, usd
from controlplane.estate.declared_values import dollars

QUOTES = st.decimals(min_value=0, max_value=999_999, places=9)


RATES = st.integers(min_value=0, max_value=10**15)
CLASSES = tuple(name for name, _ in Usage().classes())


@st.composite
def prices(draw: st.DrawFn) -> Price:
    """Any price; a dearer tier has at least the rates of the one below it, class by class."""
    rates = {name: draw(RATES | st.none()) for name in CLASSES if name not in {"input", "output"}}
    rates |= {"input": draw(RATES), "output": draw(RATES)}
    thresholds = sorted(draw(st.sets(st.integers(0, 10**6), max_size=2)))
    dearer = [{name: None if paid is None else paid + step * 10**6 for name, paid in rates.items()} for step in (1, 2)]
    tiers = [Tier(**each, above=above) for above, each in zip(thresholds, dearer, strict=False)]  # type: ignore[arg-type]
    fees = {name: draw(RATES) for name in ("request", "web_search", "file_search")}
    return Price(**rates, **fees, version="v", above=tuple(reversed(tiers)))  # type: ignore[arg-type]


PARTS = st.fixed_dictionaries({name: st.integers(0, 10**6) for name in (*CLASSES, "web_searches", "file_searches")})
"""Each token once, by the class it is paid in."""


def usage_of(parts: Mapping[str, int]) -> Usage:
    """What a provider tells of them: sums, and what of a sum was what."""
    return Usage(
        input=sum(parts[name] for name in CLASSES if name.startswith(("input", "cache"))),
        output=parts["output"] + parts["reasoning"] + parts["output_audio"],
        cache_read=parts["cache_read"],
        cache_write=parts["cache_write"] + parts["cache_write_1h"],
        cache_write_1h=parts["cache_write_1h"],
        reasoning=parts["reasoning"],
        input_audio=parts["input_audio"],
        input_image=parts["input_image"],
        output_audio=parts["output_audio"],
        web_searches=parts["web_searches"],
        file_searches=parts["file_searches"],
    )


def owed(price: Price, parts: Mapping[str, int]) -> Fraction:
    """Nano-dollars, reckoned another way: with fractions, class by class, the wider classes written out."""
    read = usage_of(parts).input
    at: Any = max((tier for tier in price.above if read > tier.above), key=lambda tier: tier.above, default=price)
    written = at.cache_write if at.cache_write is not None else at.input
    rates = {
        "input": at.input,
        "cache_read": at.cache_read if at.cache_read is not None else at.input,
        "cache_write": written,
        "cache_write_1h": at.cache_write_1h if at.cache_write_1h is not None else written,
        "input_audio": at.input_audio if at.input_audio is not None else at.input,
        "input_image": at.input_image if at.input_image is not None else at.input,
        "output": at.output,
        "reasoning": at.reasoning if at.reasoning is not None else at.output,
        "output_audio": at.output_audio if at.output_audio is not None else at.output,
    }
    fees = price.request + parts["web_searches"] * price.web_search + parts["file_searches"] * price.file_search
    return sum((Fraction(rates[name] * parts[name], MILLION) for name in CLASSES), Fraction(fees, MILLION))


@given(prices(), PARTS)
def test_a_cost_is_the_exact_one_rounded_up(price: Price, parts: dict[str, int]) -> None:
    """Never less than is owed, and never a nano-dollar more than the next whole one."""
    cost = price.cost(usage_of(parts))
    assert isinstance(cost, int)
    assert 0 <= cost - owed(price, parts) < 1


@given(prices(), PARTS, st.sampled_from((*CLASSES, "web_searches", "file_searches")), st.integers(1, 10**6))
def test_more_never_costs_less(price: Price, parts: dict[str, int], name: str, more: int) -> None:
    """Of any class, over a tier's threshold too."""
    assert price.cost(usage_of(parts | {name: parts[name] + more})) >= price.cost(usage_of(parts))


@given(prices(), PARTS, PARTS)
def test_two_exchanges_cost_what_both_do_together(price: Price, one: dict[str, int], other: dict[str, int]) -> None:
    """Without tiers and fees for the request: apart they cost at most the one rounding more."""
    flat = replace(price, above=(), request=0)
    both = flat.cost(usage_of({name: one[name] + other[name] for name in one}))
    assert 0 <= flat.cost(usage_of(one)) + flat.cost(usage_of(other)) - both <= 1


@given(st.lists(st.integers(-5, 10**7), min_size=8, max_size=8))
def test_each_token_is_paid_once_whatever_a_provider_says(counts: list[int]) -> None:
    """Parts that contradict their whole, or are more than it, neither add tokens nor take any away."""
    names = ("cache_read", "cache_write", "cache_write_1h", "input_audio", "input_image", "reasoning", "output_audio")
    usage = Usage(abs(counts[0]), abs(counts[-1]), **dict(zip(names, counts[:7], strict=True)))
    paid = dict(usage.classes())
    assert all(count >= 0 for count in paid.values())
    assert sum(count for name, count in paid.items() if name.startswith(("input", "cache"))) == usage.input
    assert paid["output"] + paid["reasoning"] + paid["output_audio"] == usage.output


def test_a_threshold_is_the_last_token_of_the_lower_tier() -> None:
    """At it nothing changes; by one token more all of the exchange is dearer, its output too."""
    price = Price(3_000, 15_000, "v", above=(Tier(9_000, 45_000, above=200), Tier(6_000, 30_000, above=100)))
    assert [price.cost(Usage(read, 10**6)) for read in (100, 101, 200, 201)] == [15_001, 30_001, 30_002, 45_002]


def test_what_comes_from_the_cache_counts_towards_a_threshold() -> None:
    """As vendors count it: all that was read."""
    price = Price(MILLION, 0, "v", cache_read=0, above=(Tier(2 * MILLION, 0, cache_read=0, above=10),))
    assert [price.cost(Usage(11, cache_read=cached)) for cached in (0, 5, 11)] == [22, 12, 0]


@pytest.mark.parametrize(
    ("begin", "end", "inside", "outside"),
    [
        ("01:00", "04:00", ["01:00:00", "03:59:59"], ["00:59:59", "04:00:00"]),
        ("16:30", "00:30", ["16:30:00", "23:59:59", "00:00:00", "00:29:59"], ["00:30:00", "16:29:59"]),
        ("06:00", "06:00", [], ["05:59:59", "06:00:00", "06:00:01"]),
    ],
)
def test_a_price_of_the_day_holds_from_its_first_second_to_before_its_last(
    begin: str, end: str, inside: list[str], outside: list[str]
) -> None:
    """In UTC, over midnight too."""

    def seconds(clock: str, day: str = "1970-01-01") -> int:
        return int(datetime.fromisoformat(f"{day}T{clock}+00:00").timestamp())

    price = Price(1, 1, "v", daily=(seconds(begin), seconds(end)))
    assert [price.holds(seconds(clock, "2026-11-24")) for clock in inside + outside] == [True] * len(inside) + [False] * len(outside)


def test_the_last_price_that_holds_is_the_price() -> None:
    """At its first second already; none before the first begins."""
    first, second = Price(1, 1, "one", since=100), Price(2, 2, "two", since=200)
    assert [price_at((first, second), moment) for moment in (99, 100, 199, 200)] == [None, first, first, second]
    assert price_at((), 0) is None


@given(prices(), st.integers(0, 2**40), st.none() | st.tuples(st.integers(0, 86_399), st.integers(0, 86_399)))
def test_a_price_crosses_a_border_whole(price: Price, since: int, daily: tuple[int, int] | None) -> None:
    """Written as JSON and read back it is the same, in a model's record too."""
    model = ModelRecord("m", "p", "c", "u", (replace(price, since=since, daily=daily), price), "openai/gpt-4o")
    assert record_of("model", orjson.loads(orjson.dumps(document(model)))) == model


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_dollars_are_written_exactly(nano: int) -> None:
    """What is written reads back as the same amount, without an exponent and without idle zeros."""
    text = usd(nano)
    assert Decimal(text) * 10**9 == nano
    assert "E" not in text
    assert not ("." in text and text.endswith(("0", ".")))


@given(QUOTES)
def test_a_quote_is_read_as_it_is_written(quote: Decimal) -> None:
    """From the declarative file's text to nano-dollars nothing is lost."""
    assert nano(dollars(f"{quote:f}")) == Fraction(quote) * 10**9


@pytest.mark.parametrize(("nano", "text"), [(0, "0"), (1, "0.000000001"), (1_500, "0.0000015"), (10**10, "10"), (-1_500_000_000, "-1.5")])
def test_amounts_as_people_read_them(nano: int, text: str) -> None:
    """Some amounts, spelled out."""
    assert usd(nano) == text


def test_columns_of_money_are_whole_numbers() -> None:
    """In the row and in the store."""
    money = [name for name in COLUMNS if name.endswith("nanousd")]
    assert money
    assert {COLUMNS[name]["ch"] for name in money} == {"UInt64"}
    assert {get_type_hints(AuditRow)[name] for name in money} == {int}


def floats(tree: ast.AST) -> list[Any]:
    """Places where a floating-point number comes about: a literal, the type, a true division."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div))
    ]


def test_no_floating_point_where_money_is_reckoned(root: Path) -> None:
    """Contracts, the exchange and the readers of prices are free of it altogether."""
    files = [file for folder in ("contracts", "extproc/core") for file in (root / folder).rglob("*.py")]
    files += [
        root / "controlplane" / "estate" / f"{name}.py"
        for name in ("declared", "declared_prices", "declared_values", "declarative", "plan", "price_list", "price_sheet")
    ]
    files.remove(root / "contracts" / "settings.py")  # joins paths with /
    files.remove(root / "extproc" / "core" / "body.py")  # tells which numbers of a body other parsers can't hold
    assert {file.name: found for file in files if (found := floats(ast.parse(file.read_text("utf-8"))))} == {}
