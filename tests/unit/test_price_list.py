"""The shipped price list: every entry is expressed exactly, or named as one that is not."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil
from pathlib import Path

import genai_prices
import pytest
import yaml
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, TieredPrices

from contracts.snapshot import ModelRecord, ProviderRecord
from contracts.usage import NANO, Price, Usage, price_at
from controlplane.estate import price_list
from controlplane.estate.price_list import Inexpressible, converted, known_as, priced, sellers

OPENAI = ProviderRecord("openai", "openai", "https://api.openai.com/v1")
ELSEWHERE = ProviderRecord("proxy", "openai", "https://llm.corp.example/v1")
DECLARED = Price(1, 2, "declared:3")

MOMENTS = [
    int(datetime(*day, hour, 15, tzinfo=UTC).timestamp())
    for day in ((2024, 1, 1), (2025, 6, 10), (2026, 8, 17), (2026, 11, 24))
    for hour in (2, 8, 20)
]
USAGES = (
    Usage(1_001, 503, cache_read=17, cache_write=23, cache_write_1h=11, reasoning=101, web_searches=2, file_searches=1),
    Usage(128_001, 7, cache_read=100_003),
    Usage(300_001, 7, input_audio=5, input_image=3, output_audio=2),
    Usage(999_999, 1, cache_write=13),
)


def model(upstream: str = "gpt-4o-mini", *prices: Price, priced_as: str = "") -> ModelRecord:
    """A model of another name than the upstream one."""
    return ModelRecord("alias", "openai", "", upstream, prices, priced_as)


def entries() -> list[tuple[str, ModelInfo]]:
    """The whole list, by seller and model."""
    return [(f"{seller.id}/{entry.id}", entry) for seller in sellers() for entry in seller.models]


def quotes(entry: ModelInfo) -> list[Decimal]:
    """Every number of an entry's ordinary prices."""
    tables = [each.prices for each in entry.prices] if isinstance(entry.prices, list) else [entry.prices]
    every = [quote for table in tables for quote in vars(table).values()]
    return [
        number
        for quote in every
        for number in ([quote.base, *(tier.price for tier in quote.tiers)] if isinstance(quote, TieredPrices) else [quote])
    ]


def theirs(entry: ModelInfo, usage: Usage, moment: int) -> Decimal:
    """Nano-dollars as the list's own calculator has them, unrounded."""
    counts = genai_prices.Usage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write_1h,
        output_reasoning_tokens=usage.reasoning,
        input_audio_tokens=usage.input_audio,
        input_image_tokens=usage.input_image,
        output_audio_tokens=usage.output_audio,
        web_searches=usage.web_searches,
        storage_searches=usage.file_searches,
    )
    table = entry.get_prices(datetime.fromtimestamp(moment, UTC))
    return table.calc_price(counts)["total_price"] * NANO


def test_what_is_left_out_is_named(root: Path) -> None:
    """Of all entries, those without a price are the ones on file, with the reason: none falls silently to nothing."""
    named = yaml.safe_load((root / "tests" / "golden" / "prices_left_out.yml").read_text("utf-8"))
    left_out: dict[str, list[str]] = {}
    for name, entry in entries():
        try:
            assert converted(entry)
        except Inexpressible as why:
            left_out.setdefault(str(why), []).append(name)

    assert {why: sorted(names) for why, names in left_out.items()} == named
    assert len(entries()) > 2_000


def test_every_entry_costs_what_the_list_says() -> None:
    """Its own calculator, in decimals, gives the same, at several times and on both sides of the thresholds."""
    off = []
    for name, entry in entries():
        try:
            prices = converted(entry)
        except Inexpressible:
            continue
        exact = all(quote * NANO % 1 == 0 for quote in quotes(entry))
        moments = MOMENTS if len(prices) > 1 else MOMENTS[-1:]
        for usage, moment in itertools.product(USAGES, moments):
            price = price_at(prices, moment)
            assert price is not None
            whole = usage if price.output is not None else Usage(usage.input, cache_read=usage.cache_read, web_searches=usage.web_searches)
            ours, said = price.cost(whole), theirs(entry, whole, moment)
            if ours != ceil(said) if exact else abs(ours - said) > 2:
                off.append((name, whole, moment, ours, said))
    assert off == []


def test_no_price_of_the_list_is_nothing() -> None:
    """What is read and what is written cost something in each: zero would mean that a quote was lost."""
    for name, entry in entries():
        try:
            assert all(price.cost(Usage(10**6)) and price.cost(Usage(0, 10**6)) for price in converted(entry)), name
        except Inexpressible:
            continue


def test_a_model_is_found_by_its_provider_and_its_upstream_name() -> None:
    """Neither the public name nor the provider's name counts."""
    (price,) = priced(model(), OPENAI)
    assert (price.input, price.output, price.cache_read, price.version) == (150_000_000, 600_000_000, 75_000_000, price_list.source())
    assert priced(model("gpt-4o-mini-2024-07-18"), OPENAI) == (price,)
    assert priced(ModelRecord("gpt-4o-mini", "openai", "", "nobody-knows-this"), OPENAI) == ()


def test_nothing_is_guessed_of_a_provider_elsewhere() -> None:
    """The same name behind another URL may cost anything."""
    assert priced(model(), ELSEWHERE) == ()
    assert priced(model(), ProviderRecord("local", "openai", "http://127.0.0.1:9901/v1")) == ()


def test_an_entry_can_be_named() -> None:
    """For a proxy, or a deployment with a name of its own."""
    assert priced(model("our-deployment", priced_as="openai/gpt-4o-mini"), ELSEWHERE) == priced(model(), OPENAI)
    assert priced(model("gpt-4o", priced_as="openai/gpt-4o-mini"), OPENAI) == priced(model(), OPENAI)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("opena/gpt-4o", "did you mean 'openai'"),
        ("openai/nobody-knows-this", "no such model"),
        ("gpt-4o", "no such seller"),
        ("", "no such seller"),
    ],
)
def test_a_name_that_stands_for_no_entry_is_told(name: str, hint: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValueError, match=hint):
        known_as(name)
    assert known_as("openai/gpt-4o") == "openai/gpt-4o"


def test_a_seller_of_others_models_has_their_prices() -> None:
    """As the list says: Azure sells OpenAI's."""
    azure = ProviderRecord("azure", "openai", "https://ours.openai.azure.com/openai/v1")
    assert priced(model("gpt-5.1"), azure)


def test_declared_prices_win() -> None:
    """Altogether where they hold from the start; else from their day on."""
    later = Price(7, 7, "declared:4", since=2_000_000_000)
    assert priced(model("gpt-4o-mini", DECLARED), OPENAI) == (DECLARED,)
    assert priced(model("gpt-4o-mini", DECLARED, later), OPENAI) == (DECLARED, later)
    both = priced(model("gpt-4o-mini", later), OPENAI)
    assert [price_at(both, moment) for moment in (1_999_999_999, 2_000_000_000)] == [priced(model(), OPENAI)[0], later]
    assert price_at(priced(model("nobody-knows-this", later), OPENAI), 1_999_999_999) is None


def test_a_price_of_zero_is_a_price() -> None:
    """Declared free is free, and not unknown."""
    free = Price(0, 0, "declared:1")
    (price,) = priced(model("nobody-knows-this", free), ELSEWHERE)
    assert price.cost(Usage(10**9, 10**9)) == 0


def test_an_empty_entry_is_unknown() -> None:
    """Whether it is free or forgotten the list does not say."""
    openrouter = ProviderRecord("openrouter", "openai", "https://openrouter.ai/api/v1")
    assert priced(model("qwen/qwq-32b:free"), openrouter) == ()
    with pytest.raises(Inexpressible, match="nothing"):
        converted(ModelInfo(id="m", match=entries()[0][1].match, prices=ModelPrice()))


def test_what_is_not_counted_leaves_the_whole_entry_out() -> None:
    """In one of its periods too: a part of a price is none."""
    text, film = ModelPrice(input_mtok=Decimal(1)), ModelPrice(input_mtok=Decimal(1), output_video_mtok=Decimal(9))
    both = ModelInfo(id="m", match=entries()[0][1].match, prices=[ConditionalPrice(prices=text), ConditionalPrice(prices=film)])
    with pytest.raises(Inexpressible, match="output_video_mtok"):
        converted(both)
