"""What `portcullis models` shows of a model."""

from __future__ import annotations

import orjson

from contracts.snapshot import ModelRecord, ProviderRecord
from contracts.usage import Price, Tier
from controlplane.estate.price_list import source
from controlplane.estate.price_sheet import price_sheet

OPENAI = ProviderRecord("openai", "openai", "https://api.openai.com/v1")
DEEPSEEK = ProviderRecord("deepseek", "openai", "https://api.deepseek.com")
NOW = 1_795_521_600  # 2026-11-24T12:00:00Z


def test_a_model_of_the_list() -> None:
    """Prices as vendors quote them, exactly, with the list's version; and the context window."""
    sheet = price_sheet(ModelRecord("small", "openai", "", "gpt-4o-mini"), OPENAI, NOW)
    price = {
        "version": source(),
        "input": "0.15",
        "output": "0.6",
        "cache_read": "0.075",
        "web_search": "10",
        "file_search": "2.5",
        "above": {},
        "from": None,
        "daily": None,
    }
    assert sheet == {
        "name": "small",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "priced_as": None,
        "context": 128_000,
        "price": price,
        "prices": [price | {"until": None}],
    }
    assert orjson.loads(orjson.dumps(sheet)) == sheet


def test_a_model_that_nobody_knows() -> None:
    """Unknown is null, and no zero."""
    sheet = price_sheet(ModelRecord("mine", "openai", "", "mine"), OPENAI, NOW)
    assert (sheet["price"], sheet["prices"], sheet["context"]) == (None, [], None)


def test_a_free_model_shows_zero() -> None:
    """Which is a price."""
    sheet = price_sheet(ModelRecord("mine", "openai", "", "mine", (Price(0, 0, "declared:2"),)), OPENAI, NOW)
    assert (sheet["price"]["input"], sheet["price"]["output"], sheet["price"]["version"]) == ("0", "0", "declared:2")


def test_prices_have_their_days_and_hours() -> None:
    """Each until a later one takes its place for good; one of some hours of the day takes no place."""
    sheet = price_sheet(ModelRecord("flash", "deepseek", "", "deepseek-v4-flash"), DEEPSEEK, NOW)
    assert [(price["from"], price["until"], price["daily"]) for price in sheet["prices"]] == [
        (None, "2026-08-17", None),
        ("2026-08-17", "2026-09-10", None),
        ("2026-09-10", None, None),
        (None, None, ["01:00Z", "04:00Z"]),
        (None, None, ["06:00Z", "10:00Z"]),
    ]
    assert sheet["price"]["input"] == "0.15"


def test_tiers_are_shown_from_the_lowest() -> None:
    """By the number of tokens above which they are paid."""
    tiers = (Tier(3 * 10**9, 3 * 10**9, above=200), Tier(2 * 10**9, 2 * 10**9, cache_read=10**9, above=100))
    sheet = price_sheet(ModelRecord("mine", "openai", "", "mine", (Price(10**9, 10**9, "declared:2", above=tiers),)), OPENAI, NOW)
    assert list(sheet["price"]["above"].items()) == [
        ("100", {"input": "2", "output": "2", "cache_read": "1"}),
        ("200", {"input": "3", "output": "3"}),
    ]
