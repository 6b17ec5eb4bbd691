"""One answer where detectors overlap, context before the text, and texts made to be slow."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from extproc.redact.detectors.money import BRANDS, brand_of, passes_luhn
from extproc.redact.finding import REACH, Finding
from extproc.redact.scanner import scan, settle

CARD = "4111111111111111"
MEBI = 1 << 20


def found(text: str) -> list[tuple[str, str]]:
    """Kinds and stretches found."""
    return [(finding.kind, text[finding.start : finding.end]) for finding in scan(text)]


def test_a_finding_holds_no_text() -> None:
    """What is found is told by kind, place and rule alone."""
    assert scan("to jane@example.com") == [Finding("EMAIL_ADDRESS", 3, 19, "email", 1.0, 1)]
    assert "jane" not in repr(scan("to jane@example.com"))


def test_a_check_digit_beats_length_and_all_is_covered() -> None:
    """A card number in an address: the union is one finding, of the checked kind."""
    assert found(f"{CARD}@example.com") == [("CREDIT_CARD", f"{CARD}@example.com")]
    assert found("4111 1111 1111 1111@example.com") == [("CREDIT_CARD", "4111 1111 1111 1111@example.com")]
    assert found(f"jane.x-{CARD}@example.com") == [("CREDIT_CARD", f"jane.x-{CARD}@example.com")]


def test_length_beats_order_among_equals() -> None:
    """Of two unchecked findings the longer one gives rule and kind, whichever comes first."""
    short, long = Finding("EMAIL_ADDRESS", 0, 5, "short"), Finding("EMAIL_ADDRESS", 4, 20, "long")

    assert settle([short, long]) == [Finding("EMAIL_ADDRESS", 0, 20, "long")]
    assert settle([Finding("EMAIL_ADDRESS", 0, 18, "long"), Finding("EMAIL_ADDRESS", 4, 20, "short")])[0].rule == "long"


def test_a_chain_of_overlaps_is_cut_and_stays_covered() -> None:
    """Overlaps without end don't become one finding without end, and no character between them is left out."""
    chain = [Finding("EMAIL_ADDRESS", at, at + 20, "email") for at in range(0, 5000, 10)]
    settled = settle(chain)

    assert max(finding.end - finding.start for finding in settled) <= REACH
    assert all(left.end == right.start for left, right in pairwise(settled))
    assert (settled[0].start, settled[-1].end) == (0, 5010)


def test_what_lies_before_a_cut_is_not_found_again_after_it() -> None:
    """A candidate wholly inside what was cut off gives no second finding."""
    first = Finding("EMAIL_ADDRESS", 0, REACH, "email")
    across = Finding("EMAIL_ADDRESS", 10, REACH + 10, "email")
    inside = Finding("EMAIL_ADDRESS", 20, 30, "email")

    assert settle([first, across, inside]) == [first, Finding("EMAIL_ADDRESS", REACH, REACH + 10, "email")]


@pytest.mark.parametrize("brand", BRANDS, ids=lambda brand: f"{brand.brand}-{brand.low}")
def test_each_range_of_each_brand_is_seen_at_its_lengths_and_no_other_check_digit(brand: tuple[str, str, str, frozenset[int]]) -> None:
    """The first and last number of a range pass with the right check digit, and with none of the nine others."""
    name, low, high, lengths = brand
    for length in lengths:
        for prefix in (low, high):
            body = prefix.ljust(length - 1, "7")
            right = [digit for digit in "0123456789" if brand_of(body + digit)]
            assert len(right) == 1, name
            assert passes_luhn(body + right[0])


def test_numbers_of_no_brand_are_none() -> None:
    """A right check digit alone makes no card."""
    assert passes_luhn("1234567812345670")
    assert brand_of("1234567812345670") is None


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1",
        "4",
        "@",
        ".",
        "-",
        " ",
        "a@",
        "a@b.",
        "@a.b",
        "1 ",
        "4 ",
        "4-",
        "4444 ",
        "12345 ",
        "1.",
        "a@b.c",
        "公",
        "公@",
        "a" * 64 + "@",
        "4" * 19 + " ",
    ],
    ids=repr,
)
def test_texts_made_to_be_slow_end(piece: str) -> None:
    """Two MiB of anything are scanned in linear time: quadratic work would meet the suite's time limit."""
    assert isinstance(scan(piece * (2 * MEBI // len(piece))), list)


def test_nothing_real_is_found_in_number_heavy_texts(pii_data: Path) -> None:
    """Lock files, changelogs, model lists and sums hold no address and no card."""
    texts = [json.loads(line)["text"] for line in (pii_data / "negatives-numbers.jsonl").read_text(encoding="utf-8").splitlines()]

    assert [text for text in texts if scan(text)] == []


def test_known_samples_are_found_exactly(pii_data: Path) -> None:
    """Precision and recall of both kinds on labelled sentences are at least 0.99, ends included."""
    right = seen = wanted = 0
    for line in (pii_data / "presidio-synth.jsonl").read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        gold = {(span["type"], span["start"], span["end"]) for span in sample["spans"] if span["type"] in {"EMAIL_ADDRESS", "CREDIT_CARD"}}
        mine = {(finding.kind, finding.start, finding.end) for finding in scan(sample["text"])}
        right, seen, wanted = right + len(gold & mine), seen + len(mine), wanted + len(gold)

    assert wanted > 300
    assert right / seen >= 0.99
    assert right / wanted >= 0.99


def test_naughty_strings_are_survived(pii_data: Path) -> None:
    """Odd text raises nothing."""
    for text in json.loads((pii_data / "naughty-strings.json").read_text(encoding="utf-8")):
        assert isinstance(scan(text), list)


def test_lone_surrogates_are_survived() -> None:
    """Half a character, as JSON escapes can bring it, raises nothing and hides nothing."""
    assert found(f"\ud800 {CARD} \udfff jane@example.com") == [("CREDIT_CARD", CARD), ("EMAIL_ADDRESS", "jane@example.com")]
