"""Money is whole nano-dollars, from the quote to the row: docs/adr/0008-money-as-integers.md."""

from __future__ import annotations

import ast
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.audit import COLUMNS, AuditRow
from contracts.usage import Price, Usage, usd
from controlplane.declared_values import dollars

QUOTES = st.decimals(min_value=0, max_value=999_999, places=9)
TOKENS = st.integers(min_value=0, max_value=10**12)


@given(QUOTES, QUOTES, TOKENS, TOKENS)
def test_a_cost_is_the_exact_one_rounded_up(input_usd: Decimal, output_usd: Decimal, read: int, written: int) -> None:
    """Never less than is owed, and never a nano-dollar more than the next whole one."""
    cost = Price.from_usd(input_usd, output_usd, "v").cost(Usage(input=read, output=written))
    owed = (Fraction(input_usd) * read + Fraction(output_usd) * written) * 1000  # USD a million tokens → nano-USD a token
    assert isinstance(cost, int)
    assert 0 <= cost - owed < 1


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
    assert Price.from_usd(dollars(f"{quote:f}"), Decimal(0), "v").input == int(Fraction(quote) * 10**9)


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
    files += [root / "controlplane" / name for name in ("declared_values.py", "declarative.py", "declared.py", "plan.py")]
    files.remove(root / "contracts" / "settings.py")  # joins paths with /
    files.remove(root / "extproc" / "core" / "body.py")  # tells which numbers of a body other parsers can't hold
    assert {file.name: found for file in files if (found := floats(ast.parse(file.read_text("utf-8"))))} == {}
