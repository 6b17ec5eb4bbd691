"""The declarative file (contract, section 3): read whole, every problem reported at once with its line.

The file is the truth about everything it can name. Whatever this version would not enforce, and
whose silence would let more through than the file says (budgets, limits, a key's token ceiling),
is refused by name; what only keeps less than asked (content, retention) is accepted with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

from contracts.snapshot import DEFAULT_PROFILE, EnvironmentRecord, ProfileRecord, ProviderRecord
from contracts.usage import Price
from controlplane import declared_values as values
from controlplane.declared import Declared, DeclaredCredential, DeclaredKey, DeclaredModel, SecretSource
from extproc.core.dialects.shape import UNSCANNED
from extproc.redact.scanner import KINDS
from extproc.yaml_lines import Item, read, suggestion

R = TypeVar("R")
Names = Mapping[str, Collection[str]]
"""Section → the names it declares, the faulty ones too: one mistake is told once."""

SECTIONS: Final = ("organisation", "providers", "credentials", "models", "environments", "teams", "keys", "budgets", "limits", "profiles")
_UNENFORCED: Final = {
    "budgets": "budgets are not in this version, so nothing would stop the spending; remove the section",
    "limits": "limits are not in this version, so nothing would slow the traffic; remove the section",
}
_UNENFORCED_KEY: Final = {
    "max_tokens": "a key's token ceiling is not in this version, so it would not hold; remove it",
    "addresses": "a key's list of addresses is not in this version, so it would not hold; remove it",
}
_KEY_FIELDS: Final = (
    "team", "project", "environment", "models", "routes", "expires", "max_tokens", "addresses", "may_set_user", "profile",
)  # fmt: skip


def declared(text: str, file: str) -> Declared:
    """Read the file. Raises Unusable with one line for each problem there is."""
    top = read(text, file)
    sections = top.fields(SECTIONS, ("organisation",))
    for section, sentence in _UNENFORCED.items():
        if section in sections and sections[section].entries():
            sections[section].wrong(sentence)
    found = _everything(sections)
    top.problems.stop()
    return found


def _everything(sections: Mapping[str, Item]) -> Declared:
    entries = {section: sections[section].entries() if section in sections else {} for section in SECTIONS[1:]}
    names: Names = {**entries, "profiles": {*entries["profiles"], DEFAULT_PROFILE.name}}
    notes: list[str] = []

    def each(section: str, reader: Callable[..., R], *known: Any, naming: Callable[[str], str] = values.name) -> dict[str, R]:
        return {name: reader(_named(name, item, naming), name, *known) for name, item in entries[section].items()}

    providers = each("providers", _provider)
    credentials = each("credentials", _credential, names)
    _distinct(entries["models"])
    teams = each("teams", _team)
    return Declared(
        organisation=(sections["organisation"].read(values.name) if "organisation" in sections else None) or "",
        providers=providers,
        credentials=credentials,
        models=each("models", _model, names, credentials, naming=values.model_name),
        environments=each("environments", _environment, notes),
        teams=teams,
        keys=each("keys", _key, names, teams, notes),
        profiles={DEFAULT_PROFILE.name: DEFAULT_PROFILE} | each("profiles", _profile),
        notes=tuple(notes),
    )


def _named(name: str, item: Item, naming: Callable[[str], str]) -> Item:
    try:
        naming(name)
    except ValueError as error:
        item.wrong(str(error))
    return item


def _note(notes: list[str], item: Item, sentence: str) -> None:
    notes.append(f"{item.problems.file}:{item.line}: {item.path}: {sentence}")


def _reference(item: Item, section: str, names: Collection[str]) -> str:
    """A name that must be declared in `section`."""
    name = item.text()
    if name is not None and name not in names:
        item.wrong(f"no '{name}' under {section}{suggestion(name, names)}")
    return name or ""


def _provider(item: Item, name: str) -> ProviderRecord:
    fields = item.fields(("dialect", "url", "insecure"), ("dialect", "url"))
    dialect = fields["dialect"].text() if "dialect" in fields else None
    if dialect is not None and dialect not in values.DIALECTS:
        fields["dialect"].wrong(f"unknown dialect{suggestion(dialect, values.DIALECTS)}")
    insecure = "insecure" in fields and fields["insecure"].flag()
    address = fields["url"].read(values.url) if "url" in fields else None
    if address and values.plain(address) and not (insecure or values.loopback(address)):
        fields["url"].wrong("plain HTTP would show prompts and credentials to the network; use https, or say insecure: true")
    if address and insecure and not values.plain(address):
        fields["insecure"].wrong("insecure: true speaks of plain HTTP, and this URL is https; remove it")
    return ProviderRecord(name, dialect if dialect in values.DIALECTS else "", address or "", insecure)


def _credential(item: Item, name: str, names: Names) -> DeclaredCredential:
    fields = item.fields(("provider", "secret"), ("provider", "secret"))
    provider = _reference(fields["provider"], "providers", names["providers"]) if "provider" in fields else ""
    source = _source(fields["secret"]) if "secret" in fields else None
    return DeclaredCredential(name, provider, source or SecretSource("env", "", item.line))


def _source(item: Item) -> SecretSource | None:
    places = item.fields(("env", "file"))
    if len(places) != 1:
        item.wrong("must say where the secret is: {env: NAME} or {file: PATH}; the secret itself never stands here")
        return None
    ((kind, place),) = places.items()
    return SecretSource(kind, place.text() or "", place.line)


def _distinct(models: Mapping[str, Item]) -> None:
    """Names that differ only in upper and lower case are too easily taken for each other."""
    first: dict[str, str] = {}
    for name, item in models.items():
        other = first.setdefault(name.casefold(), name)
        if other != name:
            item.wrong(f"differs from '{other}' only in upper and lower case, so it is ambiguous; rename one")


def _model(item: Item, name: str, names: Names, credentials: Mapping[str, DeclaredCredential]) -> DeclaredModel:
    fields = item.fields(("provider", "credential", "model", "price"), ("provider",))
    provider = _reference(fields["provider"], "providers", names["providers"]) if "provider" in fields else ""
    return DeclaredModel(
        name=name,
        provider=provider,
        credential=_credential_of(item, fields, provider, names, credentials),
        upstream=(fields["model"].read(values.model_name) if "model" in fields else name) or "",
        price=_price(fields["price"]) if "price" in fields else None,
    )


def _credential_of(
    item: Item, fields: Mapping[str, Item], provider: str, names: Names, credentials: Mapping[str, DeclaredCredential]
) -> str:
    """The credential named; else the provider's only one; else none."""
    if "credential" in fields:
        name = _reference(fields["credential"], "credentials", names["credentials"])
        if provider and name in credentials and credentials[name].provider != provider:
            fields["credential"].wrong(f"'{name}' is for the provider '{credentials[name].provider}', not for '{provider}'")
        return name
    fitting = [name for name, credential in credentials.items() if credential.provider == provider]
    if len(fitting) > 1:
        item.wrong(f"provider '{provider}' has several credentials ({', '.join(fitting)}), so it is ambiguous; name one with credential:")
    return fitting[0] if len(fitting) == 1 else ""


def _price(item: Item) -> Price | None:
    fields = item.fields(("input", "output"), ("input", "output"))
    paid = [fields[side].read(values.dollars) if side in fields else None for side in ("input", "output")]
    if paid[0] is None or paid[1] is None:
        return None
    return Price.from_usd(paid[0], paid[1], "")


def _environment(item: Item, name: str, notes: list[str]) -> EnvironmentRecord:
    fields = item.fields(("content", "retention", "zero_data_retention"))
    content = fields["content"].text() if "content" in fields else None
    if content not in {None, "full", "none"}:
        fields["content"].wrong("must be full or none")
    elif content == "full":
        _note(notes, fields["content"], "prompts and answers are not kept in this version, whatever stands here")
    if "retention" in fields:
        fields["retention"].fields(("rows", "content"))
        _note(notes, fields["retention"], "rows are not deleted by age in this version")
    zero = "zero_data_retention" in fields and fields["zero_data_retention"].flag()
    if zero and content == "full":
        fields["content"].wrong("zero_data_retention keeps no content; remove one of the two")
    return EnvironmentRecord(name, zero)


def _team(item: Item, _name: str) -> tuple[str, ...]:
    projects = item.fields(("projects",)).get("projects")
    entries = projects.entries() if projects else {}
    for name, project in entries.items():
        _named(name, project, values.name).fields(())
    return tuple(entries)


def _profile(item: Item, name: str) -> ProfileRecord:
    fields = item.fields(("prompt", "answer", "unscanned"), ("prompt", "answer"))
    tables = {side: _actions(fields[side]) if side in fields else {} for side in ("prompt", "answer")}
    rest = fields["unscanned"].read(values.unscanned) if "unscanned" in fields else None
    return ProfileRecord(name, tables["prompt"], tables["answer"], rest or "block")


def _actions(item: Item) -> dict[str, str]:
    entries = item.entries()
    for kind in entries.keys() - {"*", *KINDS}:
        entries[kind].wrong(_unknown_kind(kind))
    if "*" not in entries:
        item.wrong('an entry for "*" is missing: it says what happens to every kind that is not named')
    return {kind: entry.read(values.action) or "block" for kind, entry in entries.items()}


def _unknown_kind(kind: str) -> str:
    if f"{kind}_".startswith(UNSCANNED):
        return f"'{kind}' has no entry of its own: `unscanned`, beside prompt and answer, says what is done with it; remove it here"
    return f"this version finds no '{kind}'{suggestion(kind, ('*', *KINDS))}"


def _key(item: Item, name: str, names: Names, teams: Mapping[str, tuple[str, ...]], notes: list[str]) -> DeclaredKey:
    fields = item.fields(_KEY_FIELDS, ("team", "project", "environment", "models"))
    _unenforced(fields)
    team = _reference(fields["team"], "teams", teams) if "team" in fields else ""
    project = fields["project"].text() if "project" in fields else None
    if project is not None and team in teams and project not in teams[team]:
        fields["project"].wrong(f"team '{team}' has no project '{project}'{suggestion(project, teams[team])}")
    return DeclaredKey(
        name=name,
        team=team,
        project=project or "",
        environment=_reference(fields["environment"], "environments", names["environments"]) if "environment" in fields else "",
        models=_patterns(fields["models"], names["models"], notes) if "models" in fields else (),
        routes=_routes(fields["routes"]) if "routes" in fields else (),
        profile=_reference(fields["profile"], "profiles", names["profiles"]) if "profile" in fields else DEFAULT_PROFILE.name,
        expires=fields["expires"].read(values.moment) if "expires" in fields else None,
        may_set_user="may_set_user" in fields and fields["may_set_user"].flag(),
    )


def _unenforced(fields: Mapping[str, Item]) -> None:
    for name, sentence in _UNENFORCED_KEY.items():
        if name in fields and not (name == "addresses" and (fields[name].null or not fields[name].items())):
            fields[name].wrong(sentence)


def _patterns(item: Item, models: Collection[str], notes: list[str]) -> tuple[str, ...]:
    found = [(entry, entry.read(values.pattern)) for entry in item.items()]
    if not found:
        item.wrong('names no model, so the key could ask for none; "*" stands for all of them')
    for entry, pattern in found:
        if pattern is None or any(values.matches(pattern, model) for model in models):
            continue
        if "*" in pattern:
            _note(notes, entry, f"'{pattern}' matches no model that is declared")
        else:
            entry.wrong(f"no '{pattern}' under models{suggestion(pattern, models)}")
    return tuple(pattern for _, pattern in found if pattern is not None)


def _routes(item: Item) -> tuple[str, ...]:
    found = [(entry, entry.text()) for entry in item.items()]
    if not found:
        item.wrong("names no route, so the key could use none; leave the field out for all of them")
    for entry, route in found:
        if route is not None and route not in values.ROUTES:
            entry.wrong(f"unknown route{suggestion(route, values.ROUTES)}")
    return tuple(route for _, route in found if route is not None)
