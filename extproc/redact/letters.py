"""Character classes that families share. Each is the inside of a `[…]` of a regular expression.

Chinese, Japanese, Thai and their like are written without spaces between words, so a letter of
such a script beside an address or a number is no part of it: it is the word before or after.
A letter of any other script there means that we look at the middle of a longer token.
"""

from __future__ import annotations

from typing import Final

# Block names and ranges: Unicode Standard, Blocks.txt.
UNSPACED: Final = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u30ff"  # Hiragana, Katakana, and their marks
    "\u3400-\u9fff"  # CJK ideographs and extension A
    "\uac00-\ud7af"  # Hangul: particles are joined to the word before
    "\U00020000-\U0003134f"  # CJK extensions B to G
)
MARKS: Final = "\u0300-\u036f\u0900-\u0dff"  # combining diacritics; Indic scripts, whose vowel signs are marks
SPACED: Final = rf"^\W{UNSPACED}"  # letters, digits and underscore of all other scripts
