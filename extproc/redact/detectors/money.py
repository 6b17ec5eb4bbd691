"""Money: payment card numbers.

Number and check digit: ISO/IEC 7812-1, annex B (the Luhn formula). Issuer ranges and lengths of
Visa, Mastercard, American Express, Diners Club, Discover, JCB, UnionPay, Maestro and Mir were
compared with the table of braintree/credit-card-type (MIT), and widened where numbers beyond it
are in use or in samples (Visa of 13 digits, all of 35 for JCB, 15 digits for JCB's 1800 and 2131);
RuPay's 82 and Troy's 9792 are not in that table. UATP (15 digits from 1) is left out: identifiers
of that shape are far more frequent than such cards.
Groups: 4-4-4-4 (and -3), 4-6-5 (American Express), 4-6-4 (Diners Club) as printed on cards, or
any grouping of a run that holds nothing but the number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from extproc.redact.finding import Detector, Finding
from extproc.redact.letters import SPACED

KIND: Final = "CREDIT_CARD"


class _Range(NamedTuple):
    """Numbers that begin with `low` to `high` (same length) are `brand`'s, at these lengths."""

    brand: str
    low: str
    high: str
    lengths: frozenset[int]


def _ranges(brand: str, lengths: str, *prefixes: str) -> list[_Range]:
    allowed = frozenset(map(int, lengths.split()))
    pairs = (prefix.partition("-") for prefix in prefixes)
    return [_Range(brand, low, high or low, allowed) for low, _, high in pairs]


BRANDS: Final = (
    *_ranges("visa", "13 16 19", "4"),
    *_ranges("mastercard", "16", "51-55", "2221-2720"),
    *_ranges("amex", "15", "34", "37"),
    *_ranges("diners", "14 16 19", "300-305", "3095", "36", "38-39"),
    *_ranges("jcb", "16 19", "35"),
    *_ranges("jcb", "15", "1800", "2131"),
    *_ranges("discover", "16 19", "6011", "644-649", "65"),
    *_ranges("unionpay", "16 17 18 19", "62", "81"),
    # Maestro may have 12 digits and up; where the prefix alone says little, only the usual lengths count.
    *_ranges("maestro", "12 13 14 15 16 17 18 19", "5018", "5020", "5038", "56-58", "6304", "6390", "6759", "6761-6763"),
    *_ranges("maestro", "16 19", "50", "59", "6"),
    *_ranges("mir", "16 19", "2200-2204"),
    *_ranges("rupay", "16", "82"),
    *_ranges("troy", "16", "9792"),
)

_LONGEST: Final = 19 + 18  # digits, and a separator between any two
_FOUR_FOURS: Final = 19  # characters of 4-4-4-4
_SHORTEST: Final = b"0" * 12
_GROUPED: Final = frozenset((14, 15, 16, 19))  # digits of a number in groups
_PHONE_MAX: Final = 15  # digits of an international telephone number, ITU-T E.164
_MAESTRO_MIN: Final = 12

# First digit, where no longer token runs into it. A `\n` written out in escaped text is no letter.
_FIRST: Final = rf"[1-9](?:(?<![{SPACED}][0-9])|(?<=\\[nrt][0-9]))"
_SHAPES: Final = (
    r"[0-9]{11,18}+",
    r"[0-9]{3}(?P<fours>[ -])[0-9]{4}(?P=fours)[0-9]{4}(?P=fours)[0-9]{4}(?:(?P=fours)[0-9]{3}(?![0-9]))?",
    r"[0-9]{3}(?P<sixes>[ -])[0-9]{6}(?P=sixes)[0-9]{4,5}",
    r"(?<![0-9][ -][0-9])[0-9]{0,14}+(?P<any>[ -])[0-9]{1,15}+(?:(?P=any)[0-9]{1,15}+){0,17}+(?![ -]?[0-9])",
)
# Looked at without being consumed: the next group may begin the number that this one does not.
_CANDIDATE: Final = re.compile(rf"{_FIRST}(?=(?P<rest>{'|'.join(_SHAPES)})(?![{SPACED}]|\.[0-9]))")
_TAIL_BACKWARDS: Final = re.compile(r"[ .-]?[0-9](?:[ -]?[0-9])*+")
_GROUP: Final = re.compile(r"[0-9]*+[ .-]?")
_UUID_BEFORE: Final = re.compile(r"-[0-9A-Fa-f]{4}-\Z")
_DIGITS_AS_ZERO: Final = bytes(ord("0") if chr(byte) in "0123456789" else ord(" ") for byte in range(256))
_TWICE: Final = str.maketrans("0123456789", "0246813579")  # the double of a digit, its own digits added up


def brand_of(digits: str) -> str | None:
    """Brand whose ranges and lengths `digits` fits and whose check digit is right; None when there is none."""
    for brand, low, high, lengths in BRANDS:
        if len(digits) in lengths and low <= digits[: len(low)] <= high:
            return brand if passes_luhn(digits) else None
    return None


def passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B: from the right every second digit is doubled, and all of them add up to tens."""
    return sum(map(int, digits[-1::-2] + digits[-2::-2].translate(_TWICE))) % 10 == 0


def _find(text: str) -> Iterator[Finding]:
    if not _may_hold_one(text):
        return
    for shape in _CANDIDATE.finditer(text):
        start, end = shape.start(), shape.end("rest")
        if shape["any"] and not _plausible_groups(text[start:end]):
            continue
        found = _card(text, start, end)
        if found is None and shape["fours"] and end - start > _FOUR_FOURS:
            found = _card(text, start, start + _FOUR_FOURS)
        if found:
            yield found


def _may_hold_one(text: str) -> bool:
    """Whether twelve digits stand together, separators left out: quicker than any pattern, and mostly no."""
    return _SHORTEST in text.encode("utf-8", "surrogatepass").translate(_DIGITS_AS_ZERO, b" -")


def _card(text: str, start: int, end: int) -> Finding | None:
    digits = text[start:end].replace(" ", "").replace("-", "")
    if _runs_on_before(text, start, len(digits)):
        return None
    brand = brand_of(digits)
    return Finding(KIND, start, end, f"card_{brand}") if brand else None


def _plausible_groups(number: str) -> bool:
    """Groups of two digits and more, or digit by digit; a list of small numbers is neither."""
    sizes = [len(group) for group in re.split("[ -]", number)]
    return sum(sizes) in _GROUPED and len({size > 1 for size in sizes}) == 1


def _runs_on_before(text: str, start: int, digits: int) -> bool:
    """Whether the digits are the end of something longer: a decimal fraction, a telephone number, a UUID."""
    before = text[max(0, start - 6) : start]
    if before.endswith("."):
        return before[-2:-1].isdecimal()
    if before.endswith(","):  # a decimal comma after a lone zero; elsewhere commas separate fields
        return before[-2:-1] == "0" and not before[-3:-2].isalnum()
    if before.endswith("+"):
        return digits <= _PHONE_MAX
    return digits == _MAESTRO_MIN and _UUID_BEFORE.search(before) is not None


def _undecided(text: str) -> int:
    """The first group of the trailing run of digits from which a number could still grow."""
    length = len(text)
    first = max(0, length - _LONGEST - 2)  # two more for what is looked at behind a number
    run = _TAIL_BACKWARDS.match(text[first:][::-1])
    if run is None:
        return length
    start = length - run.end()
    if start == first and start > 0 and text[start - 1].isdecimal():  # cut in the middle of a group
        group = _GROUP.match(text, start)
        return group.end() if group else start
    return start


CARD: Final = Detector(KIND, _find, _undecided, checked=True)
