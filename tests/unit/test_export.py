"""Export: the running estate as people would have written it."""

from __future__ import annotations

from shapes.estates import FILE, NOW, a_vault, an_estate, applied

from controlplane.estate import Estate
from controlplane.estate.declarative import declared
from controlplane.estate.edits_keys import key_revoked
from controlplane.estate.export import export, variables_of

VAULT = a_vault()
ESTATE = an_estate(VAULT)

EXPORTED = """\
# The running state as a declarative file. `portcullis apply -f` of it changes nothing.
organisation: acme

providers:
  local: {dialect: openai, url: 'http://127.0.0.1:9901/v1'}
  openai: {dialect: openai, url: 'https://api.openai.com/v1'}

# No secret stands here. Set these environment variables where you apply this file, or leave them unset:
# a credential that the gate already has keeps its secret.
credentials:
  openai-main: {provider: openai, secret: {env: OPENAI_MAIN}}

models:
  cheap: {provider: local, model: tiny, price: {input: 0.15, output: 0.6}}
  gpt-4o: {provider: openai, credential: openai-main}

environments:
  dev: {}
  prod: {content: none}

teams:
  search: {projects: {ranking: {}, suggest: {}}}

keys:
  ranking: {team: search, project: ranking, environment: dev, models: [cheap, gpt-4o], providers: [local, openai], profile: strict}
  suggest: {team: search, project: suggest, environment: prod, models: [gpt-*]}

profiles:
  strict: {prompt: {'*': block}, answer: {'*': redact}, unscanned: block}
"""


def test_an_estate_is_written_as_a_person_would() -> None:
    """A record a line, in the contract's order of sections; defaults and secrets are not in it."""
    assert export(ESTATE) == EXPORTED


def test_what_is_exported_changes_nothing() -> None:
    """Applied where it came from, it gives no changes at all."""
    assert not applied(ESTATE, EXPORTED, VAULT).changes
    assert not applied(ESTATE, EXPORTED, VAULT, None).changes


def test_revoked_keys_are_told_of_and_left_out() -> None:
    """Applied anywhere else, the file makes no fresh key in the place of a revoked one."""
    text = export(ESTATE.after(key_revoked(ESTATE, "suggest", NOW)))
    assert "# Revoked keys are not in this file, and stay revoked: suggest\n" in text
    assert list(declared(text, "f").records["key"]) == ["ranking"]


def test_an_empty_estate_is_a_file_too() -> None:
    """It can be applied, and changes nothing."""
    assert not applied(Estate(), export(Estate()), VAULT).changes


def test_prices_dates_and_odd_names() -> None:
    """Numbers and dates stand bare; names that YAML would take for something else are quoted."""
    price = "[{input: 3, output: 15, above: {200000: {input: 6, output: 22.5}}}, {input: 2, output: 10, from: 2027-01-01}]"
    text = (
        FILE.replace("price: {input: 0.15, output: 0.60}", f"price: {price}")
        .replace("suggest: {}", "suggest: {}, no: {disabled: true}")
        .replace('models: ["gpt-*"]', 'models: ["gpt-*"], expires: 2027-01-01, owner: "yes"')
    )
    found = export(an_estate(VAULT, text))
    assert f"price: {price}" in found
    assert "'no': {disabled: true}" in found
    assert "expires: 2027-01-01, owner: 'yes'" in found


def test_variables_are_told_apart() -> None:
    """Names that would give the same variable get numbers, and one that begins with a digit a word before it."""
    assert variables_of(["openai.main", "openai-main", "Openai_Main", "openai-main-2", "1st"]) == {
        "1st": "CREDENTIAL_1ST",
        "Openai_Main": "OPENAI_MAIN",
        "openai-main": "OPENAI_MAIN_2",
        "openai-main-2": "OPENAI_MAIN_2_2",
        "openai.main": "OPENAI_MAIN_3",
    }
