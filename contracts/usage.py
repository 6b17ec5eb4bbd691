"""Tokens, prices and money.

Money is an integer count of nano-US-dollars (1 USD = 1_000_000_000). A price is nano-dollars for
one million tokens, because vendors quote dollars a million tokens and some quotes are no whole
number of nano-dollars for one token.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

NANO = 1_000_000_000
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one exchange. `input` includes cache reads and writes, `output` includes reasoning."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-dollars for a million tokens, by direction. `version` is stamped into every row."""

    input: int
    output: int
    version: str

    @classmethod
    def from_usd(cls, input_usd: Decimal, output_usd: Decimal, version: str) -> Price:
        """Read a vendor's quote, in dollars for a million tokens."""
        return cls(int(input_usd * NANO), int(output_usd * NANO), version)

    def cost(self, usage: Usage) -> int:
        """Nano-dollars for `usage`, rounded up: a part of a nano-dollar is still owed."""
        exact = usage.input * self.input + usage.output * self.output
        return -(-exact // MILLION)


def usd(nano: int) -> str:
    """Write nano-dollars as dollars, exactly: `usd(1_500)` is `0.0000015`."""
    whole, part = divmod(abs(nano), NANO)
    sign = "-" if nano < 0 else ""
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")
