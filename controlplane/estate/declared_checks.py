"""What is wrong with a record, however it was declared: each check is written once, here.

A fault names the record's own field (contracts/snapshot.py). A file says where that stands in it (declared_places.py); the API
answers with the name as it is, but that a model's `upstream` is called `model`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from contracts.snapshot import (
    CredentialRecord,
    EnvironmentRecord,
    KeyRecord,
    ModelRecord,
    ProfileRecord,
    ProviderRecord,
    Record,
    TeamRecord,
)
from controlplane.estate import declared_values as values
from controlplane.estate import price_list
from controlplane.estate.edits_problems import Fault
from controlplane.estate.references import Known
from extproc.core.dialects.shape import UNSCANNED
from extproc.redact.scanner import KINDS
from extproc.yaml_lines import suggestion

V = TypeVar("V")
_MOST_LABELS: Final = 16


@dataclass(frozen=True, slots=True)
class Faults:
    """What was found."""

    found: list[Fault] = field(default_factory=list)

    def say(self, name: str, detail: str) -> None:
        """Note one."""
        self.found.append((name, detail))

    def read(self, name: str, convert: Callable[[V], V], value: V) -> V:
        """The value as it should be; a wrong one as it is, and noted."""
        try:
            return convert(value)
        except ValueError as error:
            self.say(name, str(error))
            return value

    def reference(self, name: str, section: str, value: str, there: Collection[str]) -> bool:
        """Whether there is such a name."""
        if value not in there:
            self.say(name, f"no '{value}' under {section}{suggestion(value, there)}" if value else f"is empty; name one of the {section}")
        return value in there


def checked(record: Record, known: Known) -> tuple[Record, list[Fault]]:
    """The record in its canonical form, and everything that is wrong with it."""
    faults = Faults()
    naming = values.model_name if isinstance(record, ModelRecord) else values.name
    faults.read("name", naming, record.name)
    return _CHECKS[type(record)](record, known, faults), faults.found


def _provider(record: ProviderRecord, _known: Known, faults: Faults) -> ProviderRecord:
    faults.read("dialect", values.dialect, record.dialect)
    before = len(faults.found)
    url = faults.read("url", values.url, record.url)
    if len(faults.found) == before:
        _reachable(replace(record, url=url), faults)
    return replace(record, url=url)


def _reachable(record: ProviderRecord, faults: Faults) -> None:
    plain, place = values.plain(record.url), values.place(record.url)
    if plain and not (record.insecure or place == "loopback"):
        faults.say("url", "plain HTTP would show prompts and credentials to the network; use https, or say insecure: true")
    if record.insecure and not plain:
        faults.say("insecure", "insecure: true speaks of plain HTTP, and this URL is https; remove it")
    if place == "never":
        faults.say("url", "is an address that no provider has: link-local (where clouds keep machines' credentials), multicast or reserved")
    if place == "private" and not record.private:
        faults.say("url", "is an address in a private range; if that is meant, say private: true")
    if place == "public" and record.private:
        faults.say("private", "private: true speaks of addresses in private ranges, and this one is public; remove it")


def _credential(record: CredentialRecord, known: Known, faults: Faults) -> CredentialRecord:
    faults.reference("provider", "providers", record.provider, known.providers)
    if record.project:
        team_project("project", record.project, known, faults)
    return record


def team_project(name: str, text: str, known: Known, faults: Faults) -> None:
    """What names a project by its team: `search/ranking`."""
    team, _, project = text.partition("/")
    if not project:
        faults.say(name, "must be a team and its project, such as search/ranking")
    elif faults.reference(name, "teams", team, known.teams):
        _project(name, team, project, known, faults)


def _project(name: str, team: str, project: str, known: Known, faults: Faults) -> None:
    if project not in known.teams[team]:
        faults.say(name, f"team '{team}' has no project '{project}'{suggestion(project, known.teams[team])}")


def _model(record: ModelRecord, known: Known, faults: Faults) -> ModelRecord:
    upstream = record.upstream or record.name
    if record.upstream:
        faults.read("upstream", values.model_name, record.upstream)
    if record.priced_as:
        faults.read("priced_as", price_list.known_as, record.priced_as)
    there = faults.reference("provider", "providers", record.provider, known.providers)
    if record.credential and faults.reference("credential", "credentials", record.credential, known.credentials):
        provider, project = known.credentials[record.credential]
        if there and provider and provider != record.provider:
            faults.say("credential", f"'{record.credential}' is for the provider '{provider}', not for '{record.provider}'")
        if project:
            faults.say(
                "credential",
                f"'{record.credential}' is only for the project '{project}', whose exchanges use it without being told; leave it out here",
            )
    other = known.spelt.get(record.name.casefold(), record.name)
    if other != record.name:
        faults.say("name", f"differs from '{other}' only in upper and lower case, so it is ambiguous; rename one")
    return replace(record, upstream=upstream)


def _environment(record: EnvironmentRecord, _known: Known, faults: Faults) -> EnvironmentRecord:
    for name, convert in (("content", values.content), ("keep_rows", values.age), ("keep_content", values.age)):
        if value := getattr(record, name):
            faults.read(name, convert, value)
    if record.zero_data_retention and record.content == "full":
        faults.say("content", "zero_data_retention keeps no content; remove one of the two")
    return record


def _team(record: TeamRecord, _known: Known, faults: Faults) -> TeamRecord:
    for number, name in enumerate(record.projects):
        faults.read(f"projects[{number}]", values.name, name)
        if name in record.projects[:number]:
            faults.say(f"projects[{number}]", "stands here twice")
    for number, name in enumerate(record.disabled_projects):
        if name not in record.projects:
            faults.say(f"disabled_projects[{number}]", f"there is no such project{suggestion(name, record.projects)}")
    return record


def _profile(record: ProfileRecord, _known: Known, faults: Faults) -> ProfileRecord:
    for side in ("prompt", "answer"):
        table: Mapping[str, str] = getattr(record, side)
        for kind, action in table.items():
            if kind not in {"*", *KINDS}:
                faults.say(f"{side}.{kind}", _unknown_kind(kind))
            faults.read(f"{side}.{kind}", values.action, action)
        if "*" not in table:
            faults.say(side, 'an entry for "*" is missing: it says what happens to every kind that is not named')
    faults.read("unscanned", values.unscanned, record.unscanned)
    return record


def _unknown_kind(kind: str) -> str:
    if f"{kind}_".startswith(UNSCANNED):
        return f"'{kind}' has no entry of its own: `unscanned`, beside prompt and answer, says what is done with it; remove it here"
    return f"this version finds no '{kind}'{suggestion(kind, ('*', *KINDS))}"


def _key(record: KeyRecord, known: Known, faults: Faults) -> KeyRecord:
    if faults.reference("team", "teams", record.team, known.teams):
        _project("project", record.team, record.project, known, faults)
    faults.reference("environment", "environments", record.environment, known.environments)
    faults.reference("profile", "profiles", record.profile, known.profiles)
    if not record.models:
        faults.say("models", 'names no model, so the key could ask for none; "*" stands for all of them')
    for at, pattern in _each("models", record.models):
        before = len(faults.found)
        faults.read(at, values.pattern, pattern)
        if len(faults.found) == before and "*" not in pattern:
            faults.reference(at, "models", pattern, known.models)
    for at, route in _each("routes", record.routes):
        faults.read(at, values.route, route)
    for at, provider in _each("providers", record.providers):
        faults.reference(at, "providers", provider, known.providers)
    if record.max_tokens is not None:
        faults.read("max_tokens", values.ceiling, record.max_tokens)
    faults.read("owner", values.words, record.owner)
    _labels(record.labels, faults)
    networks = [faults.read(at, values.network, address) for at, address in _each("addresses", record.addresses)]
    return replace(record, addresses=tuple(dict.fromkeys(networks)))


def _each(name: str, entries: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((f"{name}[{number}]", entry) for number, entry in enumerate(entries))


def _labels(labels: Mapping[str, str], faults: Faults) -> None:
    if len(labels) > _MOST_LABELS:
        faults.say("labels", f"has more than {_MOST_LABELS} of them")
    for name, text in labels.items():
        faults.read(f"labels.{name}", values.words, text)
        faults.read(f"labels.{name}", values.name, name)


_CHECKS: Final[Mapping[type[Record], Callable[[Any, Known, Faults], Record]]] = {
    ProviderRecord: _provider,
    CredentialRecord: _credential,
    ModelRecord: _model,
    EnvironmentRecord: _environment,
    TeamRecord: _team,
    ProfileRecord: _profile,
    KeyRecord: _key,
}


def remarks(record: Record, known: Known) -> list[Fault]:
    """What is not wrong and yet should be known."""
    found: list[Fault] = []
    if isinstance(record, KeyRecord):
        for at, pattern in _each("models", record.models):
            if "*" in pattern and not any(values.matches(pattern, model) for model in known.models):
                found.append((at, f"'{pattern}' matches no model that is declared"))
    if isinstance(record, EnvironmentRecord):
        if record.content == "full":
            found.append(("content", "prompts and answers are not kept in this version, whatever stands here"))
        if record.keep_rows or record.keep_content:
            found.append(("keep_rows" if record.keep_rows else "keep_content", "rows are not deleted by age in this version"))
    return found
