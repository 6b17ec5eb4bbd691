"""JSON Schemas of prices: as calls give them (declared_prices.py), and as answers show them (price_sheet.py)."""

from __future__ import annotations

from typing import Any, Final

from controlplane.estate.declared_prices import CLASSES, FEES

Schema = dict[str, Any]


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def _amounts(names: tuple[str, ...], amount: Schema) -> Schema:
    return dict.fromkeys(names, amount)


_GIVEN_AMOUNT: Final[Schema] = {"type": ["number", "string"], "minimum": 0}
_GIVEN_RATES: Final = _amounts(CLASSES, _GIVEN_AMOUNT)
_GIVEN: Final = _object(
    {
        **_GIVEN_RATES,
        **_amounts(FEES, {**_GIVEN_AMOUNT, "description": "For a thousand."}),
        "above": {
            "type": "object",
            "additionalProperties": _object(_GIVEN_RATES, "input", "output"),
            "description": "Number of input tokens → what an exchange that reads more costs.",
        },
        "from": {"type": "string", "description": "The day or moment that it holds from.", "examples": ["2027-01-01"]},
    },
    "input",
    "output",
)
PRICE_GIVEN: Final[Schema] = {"anyOf": [_GIVEN, {"type": "array", "items": _GIVEN}, {"type": "null"}]}
"""One price, several by falling age, or none: those of the price list."""

_TEXT: Final[Schema] = {"type": "string"}
_SHOWN_RATES: Final = _amounts(CLASSES, _TEXT)
_SHOWN: Final[Schema] = {
    "version": _TEXT,
    **_SHOWN_RATES,
    **_amounts(FEES, {**_TEXT, "description": "For a thousand."}),
    "above": {"type": "object", "additionalProperties": _object(_SHOWN_RATES, "input")},
    "from": {"type": ["string", "null"]},
    "daily": {
        "anyOf": [{"type": "array", "items": _TEXT}, {"type": "null"}],
        "description": "From when to when of each day it holds; null: all day.",
    },
}
_ALWAYS: Final = ("version", "input", "above", "from", "daily")
PRICE_SHOWN: Final = _object(_SHOWN, *_ALWAYS)
"""A price in US dollars for a million tokens, as texts."""
PRICES_SHOWN: Final[Schema] = {"type": "array", "items": _object({**_SHOWN, "until": {"type": ["string", "null"]}}, *_ALWAYS, "until")}
"""Prices by falling age, each with the day or moment that it ends for good."""
