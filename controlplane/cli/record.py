"""Verbs that are alike for every kind of record: add, edit, list, show, remove. What a kind has of its own is a table of its fields."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from controlplane.cli import values
from controlplane.cli.calls import client, listed, shown, told
from controlplane.cli.client import path_of
from controlplane.cli.tree import Parser, Verbs, running, verb


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the API's record as an option. `needed`: a new record must have it. `merged`: an edit adds to what is there."""

    name: str
    about: str
    kind: values.Kind = values.TEXT
    options: tuple[str, ...] = ()
    needed: bool = False
    merged: bool = False
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of record. `columns`: title → the cell of a record, for `list`."""

    name: str
    fields: Sequence[Field]
    columns: Mapping[str, Callable[[Mapping[str, Any]], Any]]

    @property
    def plural(self) -> str:
        """What the API, and people, call all of them."""
        return f"{self.name}s"


def of(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """The cell that shows a field as it is."""
    return lambda record: record.get(name)


def takes(made: Parser, fields: Sequence[Field], *, new: bool) -> None:
    """Give a verb the options of these fields; what is left out leaves no trace."""
    for field in fields:
        needed = new and field.needed
        if field.kind is values.YES:
            _switch(made, field, new=new)
            continue
        made.add_argument(
            *(field.options or ("--" + field.name.replace("_", "-"),)),
            dest=field.name,
            type=field.kind.read,
            action="extend" if field.kind.many else "store",
            metavar="|".join(field.choices) if field.choices else field.kind.metavar,
            choices=field.choices,
            required=needed,
            default=argparse.SUPPRESS,
            help=field.about,
        )


def _switch(made: Parser, field: Field, *, new: bool) -> None:
    on = "--" + field.name.replace("_", "-")
    yes, no = field.options or (on, f"--no-{on[2:]}")
    made.add_argument(yes, dest=field.name, action="store_true", default=argparse.SUPPRESS, help=field.about)
    if not new:
        made.add_argument(no, dest=field.name, action="store_false", default=argparse.SUPPRESS, help=f"take {yes} back")


def given(args: argparse.Namespace, fields: Sequence[Field]) -> dict[str, Any]:
    """Field → value, as the API takes it, of the options that were given."""
    return {field.name: field.kind.sent(getattr(args, field.name)) for field in fields if hasattr(args, field.name)}


def add_verbs(verbs: Verbs, noun: Noun) -> None:
    """All verbs of a kind."""
    for each in (adding, editing, listing, showing, removing):
        each(verbs, noun)


def adding(verbs: Verbs, noun: Noun) -> None:
    """`add`."""
    takes(_about(verbs, noun, "add", "make", add), noun.fields, new=True)


def editing(verbs: Verbs, noun: Noun) -> None:
    """`edit`."""
    takes(_about(verbs, noun, "edit", "change what is given of", edit), noun.fields, new=False)


def listing(verbs: Verbs, noun: Noun) -> None:
    """`list`."""
    verb(verbs, "list", f"the {noun.plural}", partial(list_all, noun), running())


def showing(verbs: Verbs, noun: Noun) -> None:
    """`show`."""
    _about(verbs, noun, "show", "all of", show)


def removing(verbs: Verbs, noun: Noun) -> None:
    """`remove`."""
    _about(verbs, noun, "remove", "remove", remove).add_argument("--cascade", action="store_true", help="what needs it goes too")


def _about(verbs: Verbs, noun: Noun, name: str, told: str, run: Callable[[Noun, argparse.Namespace], int]) -> Parser:
    article = "an" if noun.name[0] in "aeiou" else "a"
    return named(verb(verbs, name, f"{told} {article} {noun.name}", partial(run, noun), running()), noun)


def named(made: Parser, noun: Noun) -> Parser:
    """A verb about one record."""
    made.add_argument("name", metavar=noun.name.upper(), help="its name")
    return made


def add(noun: Noun, args: argparse.Namespace) -> int:
    """Make a record; one of that name is left alone."""
    answer = client(args).fresh(f"{noun.name} '{args.name}'", path_of(noun.plural, args.name), given(args, noun.fields))
    return told(args, answer, f"{noun.name} {args.name} is made")


def edit(noun: Noun, args: argparse.Namespace) -> int:
    """Change the fields given, of the very record that was read: whoever changed it meanwhile is not overruled."""
    asked = given(args, noun.fields)
    if not asked:
        args.parser.error("nothing to change: give at least one option")
    caller, path = client(args), path_of(noun.plural, args.name)
    there = caller.ask("GET", path)
    record = there.document()
    for field in noun.fields:
        if field.merged and field.name in asked:
            asked[field.name] = _merged(record.get(field.name) or {}, asked[field.name])
    answer = caller.call("PATCH", path, asked, {"if-match": there.tag})
    changed = [field for change in answer["changes"] for field in change["fields"]]
    return told(args, answer, f"{noun.name} {args.name} " + (f"is changed: {', '.join(changed)}" if changed else "is that already"))


def _merged(there: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Both; an empty value takes a name out."""
    return {name: value for name, value in {**there, **new}.items() if value}


def list_all(noun: Noun, args: argparse.Namespace) -> int:
    """A table of all of a kind."""
    records = client(args).call("GET", path_of(noun.plural))
    return listed(args, records, tuple(noun.columns), [[cell(record) for cell in noun.columns.values()] for record in records])


def show(noun: Noun, args: argparse.Namespace) -> int:
    """All fields of one."""
    return shown(args, client(args).call("GET", path_of(noun.plural, args.name)))


def remove(noun: Noun, args: argparse.Namespace) -> int:
    """Take one away, and with `--cascade` what needs it."""
    path = path_of(noun.plural, args.name) + ("?cascade=true" if args.cascade else "")
    return told(args, client(args).call("DELETE", path), f"{noun.name} {args.name} is removed")
