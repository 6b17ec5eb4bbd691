"""Costs to the nano-dollar: prices.yml has the cases, each with its sum written out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.snapshot import ModelRecord, ProviderRecord
from controlplane.estate.price_list import priced
from extproc.core import dialects

CASES: list[dict[str, Any]] = yaml.load(Path(__file__).with_name("prices.yml").read_text("utf-8"), yaml.BaseLoader)  # noqa: S506 - texts alone
NOON = "2026-11-24T12:00:00Z"


def number(text: Any) -> Any:
    """The counts of an answer as numbers: texts alone were read, so that no date or number is taken for another."""
    if isinstance(text, dict):
        return {name: number(inner) for name, inner in text.items()}
    if isinstance(text, list):
        return [number(inner) for inner in text]
    return int(text) if text.isdigit() else None if text == "null" else text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_an_exchange_costs_what_its_provider_will_ask_for(case: dict[str, Any]) -> None:
    """From the provider's count, by the shipped price list, at the time of the exchange."""
    dialect = dialects.named(case["route"]).dialect
    usage = None
    for answer in case["answers"]:
        usage = dialect.usage(number(answer), usage)
    model = ModelRecord("alias", "there", "", case["model"])
    prices = priced(model, ProviderRecord("there", dialect.name, case["url"]))
    price = ModelRecord("alias", "there", "", case["model"], prices).price_at(int(datetime.fromisoformat(case.get("at", NOON)).timestamp()))

    assert usage is not None
    assert price is not None
    assert price.version.startswith("genai-prices:")
    assert price.cost(usage) == int(case["nano"])


def test_the_cases_are_of_enough_vendors() -> None:
    """A vendor whose cases were lost would not be missed by the test above."""
    assert len({case["url"] for case in CASES}) >= 10
