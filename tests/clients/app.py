"""An app that uses one client through a gate, and what is declared for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from asked import Ask, Outcome
from roster import Client
from stack import Stack

DECLARED: Final = """\
organisation: acme
providers:
  local: {dialect: openai, url: http://mock/v1, insecure: true}
credentials:
  local-main: {provider: local, secret: {env: E2E_PROVIDER_SECRET}}
models:
  gpt-4o-mini: {provider: local, credential: local-main}
  gpt-4o: {provider: local, credential: local-main}
environments:
  dev: {}
teams:
  search: {projects: {ranking: {}}}
keys:
  app: {team: search, project: ranking, environment: dev, models: ["*-mini"], profile: careful}
  looking: {team: search, project: ranking, environment: dev, models: ["*"], profile: looking}
  sealed: {team: search, project: ranking, environment: dev, models: ["*"], profile: sealed}
profiles:
  careful: {prompt: {CREDIT_CARD: block, "*": redact}, answer: {"*": redact}, unscanned: block}
  looking: {prompt: {"*": redact}, answer: {"*": redact}, unscanned: alert}
  sealed: {prompt: {"*": alert}, answer: {"*": block}, unscanned: alert}
"""

SETTINGS: Final = "limits: {request_bytes: 1MiB}\n"

MODELS: Final = {"chat": "gpt-4o-mini"}
"""What an app asks for by default: models that the key `app` may use."""

FORBIDDEN: Final = {"chat": "gpt-4o"}
"""Models that it may not."""


@dataclass(frozen=True, slots=True)
class App:
    """An app that uses one client through one gate."""

    client: Client
    gate: Stack
    carry_out: Callable[[str, Ask], Outcome]

    def do(self, verb: str, *, key: str = "app", model: str = "", under: str = "", **more: Any) -> Outcome:
        """Do it with the client; an empty key is one of somebody else's. `under`: a path that the gate doesn't have."""
        secret = self.gate.key(key) if key else "sk-of-somebody-else"
        return self.carry_out(verb, Ask(self.gate.gateway + under, secret, model or MODELS[self.client.dialect], **more))

    def at(self, gate: Stack) -> App:
        """The same app with another gate."""
        return App(self.client, gate, self.carry_out)

    @property
    def forbidden(self) -> str:
        """A model that the key `app` may not use."""
        return FORBIDDEN[self.client.dialect]
