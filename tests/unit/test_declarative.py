"""The declarative file: what it says, and what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.errors import Unusable
from contracts.snapshot import EnvironmentRecord, TeamRecord
from contracts.usage import Price
from controlplane.estate.declarative import SECTIONS, declared
from controlplane.estate.declared import Declared, SecretSource
from controlplane.estate.declared_values import ACTIONS, DIALECTS, ROUTES, matches, secret_text
from extproc.core import dialects
from extproc.core.dialects import Route
from extproc.redact.scanner import KINDS

BASE = """\
organisation: acme
providers:
  openai: {dialect: openai, url: https://api.openai.com/v1/}
  claude: {dialect: anthropic, url: https://api.anthropic.com}
  local:  {dialect: openai, url: http://127.0.0.1:9901/v1, insecure: true}
credentials:
  openai-main: {provider: openai, secret: {env: OPENAI_API_KEY}}
models:
  gpt-4o-mini: {provider: openai, credential: openai-main}
  cheap: {provider: local, model: tiny, price: {input: 0.15, output: 0.60}}
environments:
  dev:    {content: full, retention: {rows: 30d, content: 3d}}
  health: {zero_data_retention: true}
teams:
  search: {projects: {ranking: {}, suggest: {}}}
keys:
  ranking-dev: {team: search, project: ranking, environment: dev, models: [cheap, "gpt-4o*"], routes: [chat, embeddings],
                expires: 2027-01-01, addresses: [], may_set_user: true, profile: strict}
profiles:
  strict: {prompt: {CREDIT_CARD: block, "*": redact}, answer: {"*": redact}, unscanned: block}
  watch:  {prompt: {"*": alert}, answer: {"*": alert}, unscanned: alert}
"""


def changed(*paths_and_values: Any) -> str:
    """BASE with values put at dotted paths; `None` for a value removes it. Written anew, one entry a line."""
    tree = yaml.safe_load(BASE)
    for path, value in zip(paths_and_values[::2], paths_and_values[1::2], strict=True):
        *way, last = path.split("/")
        place = tree
        for step in way:
            place = place.setdefault(step, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return yaml.safe_dump(tree, sort_keys=False)


def problems(text: str) -> list[str]:
    """What is wrong, without the file's name."""
    with pytest.raises(Unusable) as refused:
        declared(text, "f.yaml")
    return [re.sub(r"^f\.yaml:\d+: ", "", line) for line in str(refused.value).splitlines()]


def base(text: str = BASE) -> Declared:
    """A file that can be used."""
    return declared(text, "f.yaml")


def test_the_contracts_file_is_read() -> None:
    """Each record of the contract's example, but for what this version refuses, comes out as it is written."""
    found = base()
    assert found.organisation == "acme"
    assert found.records["provider"]["openai"].url == "https://api.openai.com/v1"
    assert found.records["provider"]["claude"].dialect == "anthropic"
    assert found.records["model"]["cheap"].prices == (Price(150_000_000, 600_000_000, ""),)
    assert (found.records["model"]["cheap"].upstream, found.records["model"]["cheap"].credential) == ("tiny", "")
    assert found.records["model"]["gpt-4o-mini"].credential == "openai-main"
    assert found.records["environment"]["health"].zero_data_retention
    assert found.records["team"] == {"search": TeamRecord("search", ("ranking", "suggest"))}
    assert found.sources["openai-main"] == SecretSource("env", "OPENAI_API_KEY", 7)
    key = found.records["key"]["ranking-dev"]
    assert (key.models, key.routes, key.expires, key.profile) == (("cheap", "gpt-4o*"), ("chat", "embeddings"), 1798761600, "strict")
    assert found.records["profile"]["watch"].unscanned == "alert"


def test_what_keeps_less_than_asked_is_a_note() -> None:
    """Content and retention, which this version lacks, are accepted, and said."""
    notes = "\n".join(base().notes)
    for path in ("environments.dev.content", "environments.dev.retention"):
        assert path in notes


def test_every_problem_is_told_at_once_with_its_line() -> None:
    """Problems of all sections come in the file's order, each with its own line."""
    text = "organisation: acme\nprovidres: {}\nproviders:\n  a: {dialect: openai, url: 'ftp://x'}\nkeys:\n  k:\n    team: none\n    colour: red\n"
    with pytest.raises(Unusable) as refused:
        declared(text, "f.yaml")
    lines = str(refused.value).splitlines()
    assert [int(line.split(":")[1]) for line in lines] == [2, 4, 7, 7, 7, 7, 8]
    assert "did you mean 'providers'?" in lines[0]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        # what would let more through than the file says
        ("budgets/month", {"hard": "100 USD"}, "budgets: budgets are not in this version"),
        ("limits/rate", {"requests": "60/min"}, "limits: limits are not in this version"),
        ("profiles/strict/prompt/EMAIL_ADDRESS", "mask", "the action 'mask' is not in this version"),
        ("profiles/strict/answer/*", "tokenize", "the action 'tokenize' is not in this version"),
        ("profiles/strict/prompt/UNSCANNED_IMAGE", "alert", "'UNSCANNED_IMAGE' has no entry of its own: `unscanned`"),
        ("profiles/strict/answer/UNSCANNED", "block", "'UNSCANNED' has no entry of its own"),
        ("profiles/strict/answer/UNSCANNED_NEXT_YEAR", "block", "says what is done with it; remove it here"),
        ("profiles/strict/prompt/PHONE_NUMBER", "redact", "this version finds no 'PHONE_NUMBER'"),
        # names of things that are not there
        ("models/cheap/provider", "locl", "no 'locl' under providers; did you mean 'local'?"),
        ("models/gpt-4o-mini/credential", "other", "no 'other' under credentials"),
        ("credentials/openai-main/provider", "other", "no 'other' under providers"),
        ("keys/ranking-dev/team", "find", "no 'find' under teams"),
        ("keys/ranking-dev/project", "rank", "team 'search' has no project 'rank'; did you mean 'ranking'?"),
        ("keys/ranking-dev/environment", "prod", "no 'prod' under environments"),
        ("keys/ranking-dev/profile", "strikt", "no 'strikt' under profiles; did you mean 'strict'?"),
        ("keys/ranking-dev/models", ["cheep"], "no 'cheep' under models; did you mean 'cheap'?"),
        ("keys/ranking-dev/routes", ["chats"], "unknown route; did you mean 'chat'?"),
        # what is missing
        ("providers/local/url", None, "'url' is missing"),
        ("keys/ranking-dev/models", None, "'models' is missing"),
        ("keys/ranking-dev/environment", None, "'environment' is missing"),
        ("keys/ranking-dev/models", [], "names no model"),
        ("keys/ranking-dev/providers", [], "names no provider"),
        ("keys/ranking-dev/providers", ["opnai"], "keys.ranking-dev.providers[0]: no 'opnai' under providers; did you mean 'openai'?"),
        ("credentials/openai-main/project", "search/rank", "team 'search' has no project 'rank'; did you mean 'ranking'?"),
        ("credentials/openai-main/project", "find/ranking", "no 'find' under teams"),
        ("credentials/openai-main/project", "search", "must be a team and its project, such as search/ranking"),
        ("keys/ranking-dev/routes", [], "names no route"),
        ("profiles/strict/prompt", {"CREDIT_CARD": "block"}, 'an entry for "*" is missing'),
        ("profiles/strict/answer", None, "'answer' is missing"),
        # what is wrong in itself
        ("keys/ranking-dev/colour", "red", "keys.ranking-dev.colour: unknown field"),
        ("keys/ranking-dev/models", ["gpt-*-*"], "a single '*'"),
        ("keys/ranking-dev/models", ["gpt-[4]"], "must be a model's name"),
        ("keys/ranking-dev/models", "cheap", "must be a list"),
        ("keys/ranking-dev/expires", "soon", "must be a date"),
        ("keys/ranking-dev/expires", "2027-01-01T08:00:00", "has no time zone"),
        ("keys/ranking-dev/expires", "2027-02-30", "must be a date"),
        ("keys/ranking-dev/may_set_user", "maybe", "must be true or false"),
        ("keys/ranking-dev/disabled", 1, "must be true or false"),
        ("keys/ranking-dev/max_tokens", 0, "must be a whole number from 1"),
        ("keys/ranking-dev/max_tokens", 100_000_001, "must be a whole number from 1"),
        ("keys/ranking-dev/max_tokens", -1, "must be a whole number"),
        ("keys/ranking-dev/max_tokens", "4k", "must be a whole number"),
        ("keys/ranking-dev/owner", "two\nlines", "up to 200 characters of text on one line"),
        ("keys/ranking-dev/owner", "x" * 201, "up to 200 characters of text on one line"),
        ("keys/ranking-dev/labels", ["a"], "must be a table"),
        ("keys/ranking-dev/labels", {"a b": "c"}, "a name starts"),
        ("keys/ranking-dev/labels", {"a": "\x07"}, "keys.ranking-dev.labels.a: must be up to 200"),
        ("keys/ranking-dev/labels", {f"l{number}": "x" for number in range(17)}, "has more than 16 of them"),
        ("environments/dev/unpriced", "perhaps", "must be allow or refuse"),
        ("environments/dev/retention/rows", "30", "environments.dev.retention.rows: must be a number of days, such as 30d"),
        ("environments/dev/retention/content", "0d", "must be a number of days, such as 30d"),
        ("environments/dev/retention/rows", "3 months", "must be a number of days, such as 30d"),
        ("teams/search/disabled", "off", "teams.search.disabled: must be true or false"),
        ("teams/search/projects/ranking/disabled", "off", "teams.search.projects.ranking.disabled: must be true or false"),
        ("credentials/openai-main/draining", "soon", "must be true or false"),
        ("providers/openai/private", "maybe", "must be true or false"),
        ("models/cheap/price/input", "free", "must be US dollars"),
        ("models/cheap/price/input", -1, "must be US dollars"),
        ("models/cheap/price/input", float("nan"), "must be US dollars"),
        ("models/cheap/price/output", "0.0000000001", "more than nine decimals"),
        ("models/cheap/price/cached", 1, "unknown field"),
        ("models/cheap/priced_as", "openai/gpt-4o-minni", "models.cheap.priced_as: "),
        ("models/CHEAP", {"provider": "local"}, "differs from 'cheap' only in upper and lower case"),
        ("models/a b", {"provider": "local"}, "a model's name starts"),
        ("teams/search/projects/a b", {}, "a name starts"),
        ("teams/search/projects/ranking", {"size": 1}, "unknown field"),
        ("providers/local/dialect", "openia", "unknown dialect; did you mean 'openai'?"),
        ("providers/local/dialect", "zzz", "unknown dialect; known are"),
        ("profiles/strict/prompt/*", "shred", "unknown action"),
        ("profiles/strict/unscanned", "redact", "what can't be scanned can't be redacted"),
        ("environments/dev/content", "some", "must be full or none"),
        ("environments/health/content", "full", "keeps no content"),
        ("credentials/openai-main/secret", "sk-planted", "must be a table"),
        ("credentials/openai-main/secret", {"env": "A", "file": "b"}, "must say where the secret is"),
        ("credentials/openai-main/secret", {}, "must say where the secret is"),
        ("credentials/openai-main/secret", {"value": "x"}, "unknown field"),
    ],
)
def test_what_is_wrong_is_refused_by_name(path: str, value: Any, words: str) -> None:
    """Each mistake gives a sentence that names it and says what to do."""
    assert any(words in line for line in problems(changed(path, value)))


@pytest.mark.parametrize("route", dialects.ROUTES, ids=lambda route: route.name)
def test_every_declared_route_may_be_named(route: Route) -> None:
    """A key may list each route that the gate has; a provider may speak its dialect, and have models, without a note."""
    text = changed(
        "keys/ranking-dev/routes", [route.name], "providers/other", {"dialect": route.dialect.name, "url": "https://other.example"},
        "models/of-other", {"provider": "other"},
    )  # fmt: skip
    found = base(text)
    assert found.records["key"]["ranking-dev"].routes == (route.name,)
    assert found.records["provider"]["other"].dialect == route.dialect.name
    assert found.records["model"]["of-other"].provider == "other"
    assert len(found.notes) == len(base().notes)


def test_one_mistake_is_told_once() -> None:
    """Things that name a faulty record are not faulty themselves."""
    assert len(problems(changed("providers/local/url", "nowhere"))) == 1


@pytest.mark.parametrize(
    "url",
    [
        "api.openai.com", "ftp://x", "https://", "https://user:planted@h", "https://h?q=1", "https://h/#f", "https://h:0", "https://h:99999", "https://h/../x",
        "https://h/a b", "https://-h", "https://h\u00e9", "https://[::1", "https://[fe80::1%25eth0]", "http://10.0.0.1", "http://localhost.evil.example", "https://h/%2e",
    ],
)  # fmt: skip
def test_urls_that_no_provider_can_have(url: str) -> None:
    """A URL must be one that Envoy can be told, and plain HTTP must be meant; a password in it is not repeated."""
    (line,) = problems(changed("providers/openai/url", url))
    assert line.startswith("providers.openai.url: ")
    assert "planted" not in line


@pytest.mark.parametrize(
    "url",
    [
        "https://h",
        "https://h.example:8443/a/b-c_d.e~f",
        "https://[2001:db8::1]:8443/v1",
        "http://localhost:1",
        "http://[::1]:1",
        "http://127.8.9.1",
    ],
)
def test_urls_that_providers_have(url: str) -> None:
    """Hosts, ports, paths, IPv6, and plain HTTP to this machine."""
    assert base(changed("providers/openai/url", url)).records["provider"]["openai"].url == url


def test_plain_http_to_a_network_must_be_meant() -> None:
    """`insecure: true` allows plain HTTP; on an https URL it is refused, as it could be misread."""
    meant = {"dialect": "openai", "url": "http://192.0.2.1/v1", "insecure": True}
    assert base(changed("providers/openai", meant)).records["provider"]["openai"].insecure
    assert "remove it" in problems(changed("providers/openai/insecure", True))[0]


def test_the_credential_of_a_model_may_be_left_out() -> None:
    """Left out it is any of the provider's, however many there are; one of another provider, or of a project, is wrong."""
    second = {"provider": "openai", "secret": {"env": "B"}}
    found = base(changed("models/gpt-4o-mini/credential", None, "credentials/second", second))
    assert found.records["model"]["gpt-4o-mini"].credential == ""
    owned = problems(changed("credentials/openai-main/project", "search/ranking"))
    assert "'openai-main' is only for the project 'search/ranking'" in owned[0]
    assert "is for the provider 'openai'" in problems(changed("models/cheap/credential", "openai-main"))[0]


def test_names_twice_are_refused() -> None:
    """YAML would silently keep the last."""
    assert any("'strict' stands here twice" in line for line in problems(BASE.replace("  watch:", "  strict:")))


def test_words_that_yaml_takes_for_other_things_stay_names() -> None:
    """A team `no` and a project `2024` are names, not a boolean and a number."""
    found = base(
        BASE.replace("search:", "no:")
        .replace("team: search", "team: no")
        .replace("ranking: {}", "2024: {}")
        .replace("project: ranking", "project: 2024")
    )
    assert found.records["team"] == {"no": TeamRecord("no", ("2024", "suggest"))}


def test_prices_are_exact() -> None:
    """A price that no binary fraction equals is kept to the nano-dollar."""
    found = base(changed("models/cheap/price/input", 0.1, "models/cheap/price/output", "1.123456789"))
    assert found.records["model"]["cheap"].prices == (Price(100_000_000, 1_123_456_789, ""),)


def test_a_time_with_its_zone_is_read() -> None:
    """RFC 3339, with Z or an offset."""
    assert base(changed("keys/ranking-dev/expires", "2027-01-01T02:00:00+02:00")).records["key"]["ranking-dev"].expires == 1798761600
    assert base(BASE.replace("2027-01-01", "2027-01-01T00:00:00Z")).records["key"]["ranking-dev"].expires == 1798761600


@pytest.mark.parametrize("text", ["", "\n", " \n\t\n"])
def test_a_file_that_holds_nothing_is_refused(text: str) -> None:
    """As when the command that was to write it failed: applying it would take everything away."""
    with pytest.raises(Unusable, match=r"^f\.yaml:1: holds nothing"):
        declared(text, "f.yaml")


@pytest.mark.parametrize("text", ["{}", "# nothing yet\n"])
def test_a_file_of_which_nothing_is_governed_says_so(text: str) -> None:
    """Also the export of a gate that governs nothing yet, which is a comment."""
    assert not any(declared(text, "f.yaml").records.values())


def test_a_pattern_that_matches_nothing_yet_is_a_note() -> None:
    """It may be meant for models to come; a plain name may not."""
    assert any("'new-*' matches no model" in note for note in base(changed("keys/ranking-dev/models", ["new-*"])).notes)


def test_an_own_default_profile_is_used() -> None:
    """The file may say what keys without a profile get."""
    own = {"prompt": {"*": "block"}, "answer": {"*": "block"}}
    found = base(changed("profiles/default", own, "keys/ranking-dev/profile", None))
    assert found.records["profile"]["default"].prompt == {"*": "block"}
    assert found.records["key"]["ranking-dev"].profile == "default"


@pytest.mark.parametrize(
    ("pattern", "model", "fits"),
    [
        ("*", "a/b", True),
        ("gpt-*", "gpt-", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("gpt.4", "gptx4", False),
        ("*-mini", "gpt-mini", True),
        ("gpt", "GPT", False),
    ],
)
def test_patterns(pattern: str, model: str, fits: bool) -> None:
    """A star is any characters, also none; everything else is itself."""
    assert matches(pattern, model) == fits


@pytest.mark.parametrize("text", ["", "a b", "a\nb", "é", "a\0", "x" * 8193])
def test_secrets_that_no_header_may_carry(text: str) -> None:
    """They are refused, and not repeated."""
    with pytest.raises(ValueError, match="secret is empty, or holds") as refused:
        secret_text(text)
    assert not text or text not in str(refused.value)


def test_the_reference_shows_a_file_that_is_read_and_names_everything(root: Path) -> None:
    """The example in docs/reference/declarative.md applies as it stands, without a note, and each section and kind is told of."""
    page = (root / "docs/reference/declarative.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert base(example).notes == ()
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert {name for heading in headings for name in heading.split(", ")} == set(SECTIONS)
    assert all(f"`{word}`" in page for word in (*KINDS, *ACTIONS, *ROUTES, *DIALECTS))


def test_what_keys_teams_credentials_and_environments_may_say() -> None:
    """Each field beyond the contract's example is read into its record."""
    text = changed(
        "keys/ranking-dev/providers", ["local"], "keys/ranking-dev/addresses", ["10.0.0.0/8", "2001:DB8::1", "10.0.0.0/8"],
        "keys/ranking-dev/max_tokens", 4096, "keys/ranking-dev/disabled", True, "keys/ranking-dev/owner", "Zoë, search",
        "keys/ranking-dev/labels", {"cost.centre": "4711"}, "teams/search/disabled", True, "teams/search/projects/ranking", {"disabled": True},
        "credentials/own", {"provider": "openai", "secret": {"file": "s"}, "project": "search/suggest", "draining": True},
        "environments/dev/unpriced", "allow",
    )  # fmt: skip
    found = base(text).records
    key = found["key"]["ranking-dev"]
    assert (key.providers, key.addresses, key.max_tokens) == (("local",), ("10.0.0.0/8", "2001:db8::1/128"), 4096)
    assert (key.disabled, key.owner, key.labels) == (True, "Zoë, search", {"cost.centre": "4711"})
    assert found["team"]["search"] == TeamRecord("search", ("ranking", "suggest"), disabled=True, disabled_projects=("ranking",))
    assert (found["credential"]["own"].project, found["credential"]["own"].draining) == ("search/suggest", True)
    assert found["environment"]["dev"] == EnvironmentRecord("dev", content="full", keep_rows="30d", keep_content="3d", unpriced=True)


def test_faults_of_what_is_missing_or_unreadable_are_told_once() -> None:
    """A key without a team, with a list where a name belongs and a bad table has one problem for each."""
    told = problems(changed("keys/ranking-dev/team", None, "keys/ranking-dev/environment", ["dev"], "keys/ranking-dev/models", [["cheap"]]))
    assert sorted(line.split(":")[0] for line in told) == ["keys.ranking-dev", "keys.ranking-dev.environment", "keys.ranking-dev.models[0]"]


@pytest.mark.parametrize("name", ["gate", "organisation"])
def test_the_examples_apply_as_they_stand(root: Path, name: str) -> None:
    """Each file under docs/examples that is to be applied is read without a problem or a note."""
    assert base((root / "docs" / "examples" / f"{name}.yaml").read_text("utf-8")).notes == ()
