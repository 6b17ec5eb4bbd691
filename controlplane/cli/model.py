"""Verbs about models: what apps may ask for, where it goes, what it costs, who may use it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

from controlplane.cli.calls import client, joined, listed
from controlplane.cli.client import path_of
from controlplane.cli.nouns import MODEL
from controlplane.cli.record import adding, editing, removing
from controlplane.cli.tree import Verbs, noun, running, verb

_BESIDE: Final = ("version", "above", "from", "daily")
"""Fields of a price that are no amounts."""


def add_model(verbs: Verbs) -> None:
    """The verbs."""
    told = "the models: provider, prices, context, who may use them"
    verb(verbs, "models", told, list_models, running())
    model = noun(verbs, "model", "public names of models, and where each goes")
    verb(model, "list", told, list_models, running())
    for each in (adding, editing, removing):
        each(model, MODEL)


def list_models(args: argparse.Namespace) -> int:
    """`models`, and `model list`."""
    models = client(args).call("GET", path_of("models"))
    columns = ("name", "provider", "upstream", "USD a million tokens", "price version", "context", "keys")
    return listed(args, models, columns, [_row(model) for model in models])


def _row(model: Mapping[str, Any]) -> list[Any]:
    price = model["price"] or {}
    paid = ", ".join(f"{name} {amount}" for name, amount in price.items() if name not in _BESIDE)
    paid += "".join(f"; above {above}: {_rates(rates)}" for above, rates in price.get("above", {}).items())
    users = "  ".join(f"{team}: {joined(names)}" for team, names in model["keys"].items())
    return [
        model["name"],
        model["provider"],
        model["upstream"],
        paid or "unknown",
        price.get("version"),
        model["context"],
        users or "nobody",
    ]


def _rates(rates: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {amount}" for name, amount in rates.items())
