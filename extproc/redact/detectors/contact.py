"""How to reach someone: e-mail addresses.

Format: RFC 5321 section 4.1.2 (mailbox, dot-string) and 4.5.3.1 (64 octets before the '@', 255
after it), RFC 1035 section 2.3.4 (63 octets a label), RFC 6531 (letters beyond ASCII), RFC 5890
(`xn--` labels). Limits are counted in characters here, which for letters beyond ASCII errs
towards finding. Left out of the RFC's set are the signs that surround addresses far more often
than they are part of them (`/ = ? & # ! | ~ { } $ * ^` and the backtick), quoted local parts, and
address literals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from extproc.redact.finding import Detector, Finding
from extproc.redact.letters import MARKS, SPACED, UNSPACED

KIND: Final = "EMAIL_ADDRESS"

_LOCAL_MAX: Final = 64
_DOMAIN_MAX: Final = 255

# The local part is read backwards from the '@'. Signs and digits go with letters of either sort of
# script; the letter nearest to the '@' says which sort, and a letter of the other sort ends it.
_SIGNS: Final = rf"[\d_.%+'{MARKS}\-]"
_LOCAL_BACKWARDS: Final = re.compile(rf"{_SIGNS}*+(?:(?:[{SPACED}]|{_SIGNS})++|(?:[{UNSPACED}]|{_SIGNS})++)?")
_WORD: Final = re.compile(r"\w")
_ESCAPE: Final = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|[bfnrt])")

_SPACED_LETTER: Final = rf"(?:[{SPACED}\d_]|[{MARKS}])"
_LABEL: Final = (
    rf"(?:[0-9-]{{0,62}}+[{UNSPACED}][0-9{UNSPACED}-]{{0,62}}+"  # a label is of one sort of script
    rf"|(?:[{SPACED}_]|[{MARKS}-]){{1,63}}+)"
)
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*+")
_TOP_LEVEL: Final = re.compile(rf"[xX][nN]--[A-Za-z0-9-]{{1,58}}[A-Za-z0-9]|{_SPACED_LETTER}{{2,63}}|[{UNSPACED}]{{2,63}}")
# Necessary for an address, and quick to refuse: '@', a label, a dot.
_ANCHOR: Final = re.compile(rf"@(?={_LABEL}\.)")

# Endings of file names that are no top-level domains (IANA's root zone has none of them), so that
# `icon@2x.png` and `left-pad@1.3.tgz` are no addresses.
_FILE_ENDINGS: Final = frozenset(
    "avif bmp css csv dll docx exe gif gz html ico jar jpeg jpg js json jsx lock mp3 mp4 pdf php png svg tgz toml ts tsx txt webp whl xml yaml yml".split()  # noqa: SIM905, E501 - a list of words
)


def _find(text: str) -> Iterator[Finding]:
    if "@" not in text:
        return
    for anchor in _ANCHOR.finditer(text):
        at = anchor.start()
        start = _local_start(text, at)
        if start < at and (end := _domain_end(text, at + 1)) > at:
            yield Finding(KIND, start, end, "email")


def _undecided(text: str) -> int:
    length = len(text)
    growing = _local_start(text, length)
    at = text.rfind("@", max(0, length - _DOMAIN_MAX))  # an earlier one has all the domain it may have
    if at < 0:
        return growing
    start = _local_start(text, at)
    return min(growing, start) if start < at and _domain_may_grow(text, at + 1) else growing


def _domain_may_grow(text: str, begin: int) -> bool:
    """Whether what follows the '@' is a domain as far as it goes, and the text ends there."""
    domain = _DOMAIN.match(text, begin)
    end = domain.end() if domain else begin
    return end == len(text) or (end > begin and end == len(text) - 1 and text[end] == ".")


def _local_start(text: str, at: int) -> int:
    """Where the local part of an '@' at `at` begins; `at` itself when there is none."""
    run = _LOCAL_BACKWARDS.match(text[max(0, at - _LOCAL_MAX) : at][::-1])
    begin = at - run.end() if run else at
    escape = _ESCAPE.match(text, begin - 1) if begin and text[begin - 1] == "\\" else None
    if escape:  # text inside of JSON text, as a tool's arguments are: to cut an escape in two would break it
        begin = min(at, escape.end())
    word = _WORD.search(text, begin, at)  # quotes, dots and dashes in front belong to the sentence
    return word.start() if word else at


def _domain_end(text: str, begin: int) -> int:
    """Where the longest plausible domain from `begin` ends; -1 when there is none."""
    domain = _DOMAIN.match(text, begin, min(len(text), begin + _DOMAIN_MAX))
    end = domain.end() if domain else begin
    labels = text[begin:end].split(".")
    while len(labels) > 1:
        label = labels.pop()
        top = _TOP_LEVEL.match(label)
        if top and top.group().lower() not in _FILE_ENDINGS and not _is_version(labels):
            return end - len(label) + top.end()
        end -= len(label) + 1
    return -1


def _is_version(labels: list[str]) -> bool:
    """`package@2.0.0-beta.rc` names a version of a package."""
    return len(labels) > 1 and labels[0].isdecimal() and labels[1].isdecimal()


EMAIL: Final = Detector(KIND, _find, _undecided)
