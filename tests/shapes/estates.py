"""Estates and vaults to edit: what a small organisation declares, and random ones."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

from contracts.settings import Settings
from controlplane.estate import Estate
from controlplane.estate.declarative import declared
from controlplane.estate.plan import Plan, plan
from controlplane.vault import Vault, open_vault
from custody.secret import Secret

FILE = """\
organisation: acme
providers:
  openai: {dialect: openai, url: https://api.openai.com/v1}
  local: {dialect: openai, url: http://127.0.0.1:9901/v1}
credentials:
  openai-main: {provider: openai, secret: {env: OPENAI_MAIN}}
models:
  gpt-4o: {provider: openai, credential: openai-main}
  cheap: {provider: local, model: tiny, price: {input: 0.15, output: 0.60}}
environments:
  dev: {}
  prod: {content: none}
teams:
  search: {projects: {ranking: {}, suggest: {}}}
keys:
  ranking: {team: search, project: ranking, environment: dev, models: [cheap, gpt-4o], providers: [local, openai], profile: strict}
  suggest: {team: search, project: suggest, environment: prod, models: ["gpt-*"]}
profiles:
  strict: {prompt: {"*": block}, answer: {"*": redact}}
"""
SECRET = "sk-first-0123456789"
NOW = 1_800_000_000


def a_vault(folder: Path | None = None) -> Vault:
    """A real one, with its file of keys in the folder."""
    return open_vault(Settings(data=folder or Path(mkdtemp())), Estate())


def applied(estate: Estate, text: str, vault: Vault, secret: str | None = SECRET, now: int = NOW) -> Plan:
    """The plan for a file, with the same secret for each of its credentials, or none (None)."""
    wanted = declared(text, "f.yaml")
    secrets = {} if secret is None else {name: Secret(secret.encode()) for name in wanted.sources}
    return plan(estate, wanted, secrets, vault, now, "alice")


def an_estate(vault: Vault, text: str = FILE) -> Estate:
    """The estate once a file is applied to an empty one."""
    empty = Estate(peppers=vault.first_pepper())
    return empty.after(applied(empty, text, vault).changes)
