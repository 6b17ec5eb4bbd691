"""The provider's secret is taken out of what the provider says, however it is spelt there."""

from __future__ import annotations

import json

import pytest

from custody.scrub import GONE, begun, holds, places, scrub
from custody.secret import Secret

SECRET = Secret(b"sk-abc/def+17")


def escaped(text: str, *, upper: bool = False) -> str:
    """Every character as a JSON escape."""
    return "".join("\\u" + (f"{ord(character):04X}" if upper else f"{ord(character):04x}") for character in text)


@pytest.mark.parametrize(
    "spelt",
    [
        "sk-abc/def+17",
        "sk-abc\\/def+17",
        escaped("sk-abc/def+17"),
        escaped("sk-abc/def+17", upper=True),
        "sk-" + escaped("abc") + "/d" + escaped("e") + "f\\u002B17",
    ],
)
def test_the_secret_goes_however_json_spells_it(spelt: str) -> None:
    """Plain, with escapes of either case, or some of both; every time it stands there, and nothing beside it."""
    raw = f'{{"error":"key {spelt}, \\n\\u0041 {spelt}"}}'.encode()
    assert json.loads(raw)["error"].count("sk-abc/def+17") == 2
    assert scrub(raw, SECRET) == b'{"error":"key [PROVIDER_CREDENTIAL], \\n\\u0041 [PROVIDER_CREDENTIAL]"}'


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("slash", ["/", "\\/"])
def test_the_secret_goes_out_of_json_in_json(levels: int, slash: str) -> None:
    """An error that a server in between has put in its own, and written anew: JSON it stays, whatever backslashes stand before the secret."""
    for spelt in (escaped("sk") + f"-abc{slash}def+17", f"sk-abc{slash}def" + escaped("+17"), escaped("sk-abc/def+17")):
        for before in ("", "\\\\", "\\\\\\\\", "\\n"):
            text = f'{{"error":"{before}{spelt}"}}'
            for _ in range(levels - 1):
                text = json.dumps({"error": text})
            clean = scrub(text.encode(), SECRET).decode()
            for _ in range(levels):
                clean = json.loads(clean)["error"]
            assert clean.endswith("[PROVIDER_CREDENTIAL]")


def test_many_backslashes_take_no_time() -> None:
    """A run of them is looked at once: this would take hours otherwise."""
    raw = b"\\" * 1_000_000 + b"u0073 \\u0041"
    assert scrub(raw, SECRET) == raw


def test_what_is_not_the_secret_stays() -> None:
    """A part of it, another case, other escapes: byte for byte."""
    raw = b'{"a":"sk-abc/def+1 SK-ABC/DEF+17 \\u0073k-abc/def+18 \\/ \\u006a"}'
    assert scrub(raw, SECRET) == raw


def test_a_short_secret_is_left_where_it_stands() -> None:
    """It would be found by chance all over an answer."""
    short = Secret(b"local")
    assert scrub(b"a local model", short) == b"a local model"
    assert not holds("a local model", short)
    assert begun("a loc", short) == len("a loc")


def test_its_places_in_a_text_are_told() -> None:
    """Start and end of each, without overlap."""
    text = "sk-abc/def+17sk-abc/def+17 sk-abc/def+1"
    assert list(places(text, SECRET)) == [(0, 13), (13, 26)]
    assert holds(text, SECRET)
    assert not holds("sk-abc/def+1", SECRET)


@pytest.mark.parametrize(("text", "start"), [("", 0), ("abc", 3), ("abc sk-abc", 4), ("abc s", 4), ("sk-sk-a", 3), ("sk-abc/def+17", 13)])
def test_a_beginning_at_the_end_of_a_text_is_seen(text: str, start: int) -> None:
    """The longest one that the next piece may complete; a whole one is begun no more."""
    assert begun(text, SECRET) == start


def test_what_comes_instead_says_what_it_was() -> None:
    """In the form of every placeholder."""
    assert GONE == b"[PROVIDER_CREDENTIAL]"
