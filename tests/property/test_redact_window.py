"""However a text is cut, the same is found, little is held back, and little is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from extproc.redact.finding import REACH, Finding
from extproc.redact.growing import GrowingText
from extproc.redact.scanner import scan, scan_all
from extproc.redact.window import Settled, Window

GOLDEN = Path(__file__).parent.parent / "golden"
TEXTS = [
    row if isinstance(row, str) else row["text"]
    for path in sorted(GOLDEN.glob("redact_*.yml"))
    for part in yaml.safe_load(path.read_text(encoding="utf-8")).values()
    for row in part
]
CHAINS = [
    "ab@cd.ef" * 200,
    "ab@cd.ef " * 100,
    "a@b.co@" * 150,
    "4444 4444 4444 4448 " * 40,
    "4111 1111 1111 1111@x.co" * 40,
    "4111-1111-1111-1111@" + "4111-1111-1111-1111." * 30 + "com",
    "x@" + "a.bc." * 120,
    "x@" + "b" * 400 + ".com",
    "y" * 700 + "@example.com",
    "1 " * 300 + "4111 1111 1111 1111",
    "1" * 600 + " 4111111111111111",
]


def pieces_of(text: str, cuts: Iterable[int]) -> list[str]:
    """`text` cut at these offsets."""
    places = [0, *sorted(cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def read(pieces: list[str]) -> list[Finding]:
    """Feed the pieces and hold every answer to what Settled promises."""
    window, fed, upto, found = GrowingText(), 0, 0, []
    for piece in pieces:
        fed += len(piece)
        upto = check(window.feed(piece), upto, fed, found)
    assert check(window.finish(), upto, fed, found) == fed
    return found


def check(settled: Settled, upto: int, fed: int, found: list[Finding]) -> int:
    """One answer: never back, never beyond what was fed, findings in order and within what is decided."""
    assert upto <= settled.upto <= fed
    for finding in settled.findings:
        assert (found[-1].end if found else 0) <= finding.start < finding.end <= settled.upto
        assert finding.start >= upto  # what was released before held nothing of it
        found.append(finding)
    return settled.upto


# Made of what detectors look at, so that nearly every draw has half a match in it.
SIGNS = [*"a@.-_+ 14,'公é\u0301\\n", " 4", "-4", "0.", "a." * 130, "x" * 70, "1" * 25]
ADDRESSES = ["ab", "com", "@x.co", "jane@example.com", "xn--p1ai", "12公司", "png"]
NUMBERS = ["4111", "1111", "4111 1111 1111 1111", "4111111111111111", "378282246310005", "3782 822463 10005", "501800000009", "-41a1-"]
PARTED = st.lists(st.sampled_from(SIGNS + ADDRESSES + NUMBERS), max_size=30).map("".join)


@given(text=PARTED, cuts=st.lists(st.integers(0, 400), max_size=12))
@example(text="a@b.com@c.com", cuts=[7, 8])
@example(text="请发test件@x.cn", cuts=[6])
@example(text="4111111111111111.5", cuts=[16, 17])
@example(text="a@12公司.cn", cuts=[4])
def test_any_split_finds_the_same(text: str, cuts: list[int]) -> None:
    """LAW: findings of all pieces together are those of the whole text."""
    assert read(pieces_of(text, [min(cut, len(text)) for cut in cuts])) == scan(text)


@given(text=PARTED)
def test_one_character_a_piece_finds_the_same(text: str) -> None:
    """LAW, in the finest split."""
    assert read(list(text)) == scan(text)


@given(text=st.text(max_size=120), cuts=st.lists(st.integers(0, 120), max_size=6))
def test_any_split_of_any_text_finds_the_same(text: str, cuts: list[int]) -> None:
    """LAW, for text that has nothing to do with what is looked for."""
    assert read(pieces_of(text, [min(cut, len(text)) for cut in cuts])) == scan(text)


@given(texts=st.lists(PARTED, max_size=5))
def test_one_look_at_many_texts_finds_what_a_look_at_each_does(texts: list[str]) -> None:
    """LAW: texts beside each other do not change what is found in them."""
    assert scan_all(texts) == {place: found for place, text in enumerate(texts) if (found := scan(text))}


@given(text=PARTED, how=st.lists(st.integers(0, 3), min_size=1, max_size=8), cuts=st.lists(st.integers(0, 900), max_size=9))
@example(text="jane@example.com", how=[1], cuts=[5, 29, 60])
@example(text="jane@example.com", how=[0, 2], cuts=[25])
@example(text="4111111111111111", how=[3], cuts=[])
def test_what_escapes_spell_is_found_in_any_split(text: str, how: list[int], cuts: list[int]) -> None:
    """LAW: JSON in a text, up to LEVELS deep, hides nothing, however its pieces are cut; what is found is whole escapes."""
    pieces = [escaped(sign, how[place % len(how)]) for place, sign in enumerate(text)]
    written = "".join(pieces)
    ends = {0}
    for piece in pieces:
        ends.add(max(ends) + len(piece))
    found = read(pieces_of(written, [min(cut, len(written)) for cut in cuts]))

    assert found == scan(written)
    if "\\" not in text:
        assert [finding.kind for finding in found] == [finding.kind for finding in scan(text)]
        assert all(finding.start in ends and finding.end in ends for finding in found)


def escaped(sign: str, levels: int) -> str:
    """A character as JSON in JSON may write it."""
    for level in range(levels):
        sign = "".join(f"\\u{unit:04x}" for unit in units(sign)) if level == 0 else sign.replace("\\", "\\\\")
    return sign


def units(sign: str) -> list[int]:
    """Its UTF-16 code units."""
    raw = sign.encode("utf-16-be")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_every_cut_of_every_table_text_finds_the_same(text: str) -> None:
    """LAW, exhaustively: each single cut, and one character a piece."""
    whole = scan(text)

    assert read(list(text)) == whole
    for cut in range(len(text) + 1):
        assert read([text[:cut], text[cut:]]) == whole


@pytest.mark.parametrize("text", CHAINS, ids=range(len(CHAINS)))
@pytest.mark.parametrize("size", [1, 7, 333])
def test_chains_without_end_find_the_same_in_any_piece_size(text: str, size: int) -> None:
    """Overlaps that go on and on are cut at the same places, whatever the pieces."""
    assert read([text[at : at + size] for at in range(0, len(text), size)]) == scan(text)


@pytest.mark.parametrize(
    "piece", ["a", "1", "@", "a@", "1 ", "4444 ", "ab@cd.ef", "a@b.co@", "x.", "公", "-", "4111 1111 1111 1111@x.co"], ids=repr
)
def test_what_is_kept_and_held_back_does_not_grow(piece: str) -> None:
    """Runs without end: memory and hold-back stay bounded."""
    window, fed = Window(), 0
    for _ in range(3000):
        settled = window.feed(piece)
        fed += len(piece)
        assert fed - settled.upto <= 2 * REACH
        assert len(window._text) <= 3 * REACH


def test_prose_is_held_back_by_one_word_at_most() -> None:
    """After a space all is decided; within a word only that word waits."""
    window = Window()

    assert window.feed("The answer is ").upto == 14
    assert window.feed("forty").upto == 14
    assert window.feed("-two, as ").upto == 28
    assert window.feed("in 2024").upto == 31
    assert window.feed(" we").upto == 36
    assert window.finish() == Settled(38, ())


def test_an_address_is_handed_out_as_soon_as_it_cannot_grow() -> None:
    """The space behind it decides; until then nothing of it is released."""
    window = Window()

    assert window.feed("to jane") == Settled(3, ())
    assert window.feed("@example") == Settled(3, ())
    assert window.feed(".com.") == Settled(3, ())
    assert window.feed(" ok") == Settled(21, (Finding("EMAIL_ADDRESS", 3, 19, "email"),))
    assert window.feed("?") == Settled(24, ())


def test_every_cut_of_the_samples_finds_the_same(pii_data: Path) -> None:
    """LAW, over labelled texts of others: one character a piece for all, every cut for those with a finding."""
    for line in (pii_data / "presidio-synth.jsonl").read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"]
        whole = scan(text)
        if not whole:
            continue
        assert read(list(text)) == whole
        for cut in range(len(text)):
            assert read([text[:cut], text[cut:]]) == whole


def test_naughty_strings_find_the_same_in_any_split(pii_data: Path) -> None:
    """LAW, over odd text, one character a piece."""
    for text in json.loads((pii_data / "naughty-strings.json").read_text(encoding="utf-8")):
        assert read(list(text)) == scan(text)
