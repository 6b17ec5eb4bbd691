"""Declarative texts that gates of tests begin with."""

from __future__ import annotations

from typing import Final

MOCK: Final = "http://mock"
"""Stands for the mock provider's address in a declarative text."""

DECLARED: Final = """\
organisation: acme
providers:
  local: {dialect: openai, url: http://mock/v1, insecure: true}
credentials:
  local-main: {provider: local, secret: {env: E2E_PROVIDER_SECRET}}
models:
  cheap: {provider: local, credential: local-main, model: tiny, price: {input: 0.15, output: 0.60}}
  gpt-4o-mini: {provider: local, credential: local-main, price: {input: 0.15, output: 0.60}}
  dear: {provider: local, credential: local-main, price: {input: 15, output: 60}}
environments:
  dev: {}
teams:
  search: {projects: {ranking: {}}}
keys:
  app: {team: search, project: ranking, environment: dev, models: [cheap, "gpt-4o*"], profile: careful}
  strict: {team: search, project: ranking, environment: dev, models: ["*"], profile: strict}
  sealed: {team: search, project: ranking, environment: dev, models: ["*"], profile: sealed}
  watched: {team: search, project: ranking, environment: dev, models: ["*"], profile: watch}
profiles:
  careful: {prompt: {"*": redact}, answer: {"*": redact}, unscanned: block}
  strict: {prompt: {CREDIT_CARD: block, "*": redact}, answer: {"*": redact}, unscanned: block}
  sealed: {prompt: {"*": alert}, answer: {"*": block}, unscanned: alert}
  watch: {prompt: {"*": alert}, answer: {"*": alert}, unscanned: alert}
"""

TWO_FAMILIES: Final = """\
organisation: acme
providers:
  local: {dialect: openai, url: http://mock/v1, insecure: true}
  claude: {dialect: anthropic, url: http://mock, insecure: true}
credentials:
  local-main: {provider: local, secret: {env: E2E_PROVIDER_SECRET}}
  claude-main: {provider: claude, secret: {env: E2E_PROVIDER_SECRET}}
models:
  cheap: {provider: local, credential: local-main, model: tiny, price: {input: 0.15, output: 0.60}}
  small: {provider: claude, credential: claude-main, model: tiny, price: {input: 0.15, output: 0.60}}
environments:
  dev: {}
teams:
  search: {projects: {ranking: {}}}
"""
"""A provider and a model of each family; whose keys and profiles are still to be said."""
