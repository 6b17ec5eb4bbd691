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
  claude: {dialect: anthropic, url: http://mock, insecure: true}
credentials:
  local-main: {provider: local, secret: {env: E2E_PROVIDER_SECRET}}
  claude-main: {provider: claude, secret: {env: E2E_PROVIDER_SECRET}}
models:
  gpt-4o-mini: {provider: local, credential: local-main, model: tiny, price: {input: 0.15, output: 0.60}}
  gpt-4o: {provider: local, credential: local-main, price: {input: 2.50, output: 10}}
  gpt-3.5-turbo-instruct: {provider: local, credential: local-main, price: {input: 1.5, output: 2}}
  text-embedding-3-small: {provider: local, credential: local-main, price: {input: 0.02, output: 0}}
  omni-moderation-latest: {provider: local, credential: local-main, price: {input: 0, output: 0}}
  claude-sonnet-5-5: {provider: claude, credential: claude-main, price: {input: 3, output: 15}}
  claude-opus-5-5: {provider: claude, credential: claude-main, price: {input: 5, output: 25}}
environments:
  dev: {}
teams:
  search: {projects: {ranking: {}}}
keys:
  app: {team: search, project: ranking, environment: dev, models: ["*-mini", "*-instruct", "text-*", "omni-*", "claude-sonnet-*"], profile: careful}
  looking: {team: search, project: ranking, environment: dev, models: ["*"], profile: looking}
  sealed: {team: search, project: ranking, environment: dev, models: ["*"], profile: sealed}
profiles:
  careful: {prompt: {CREDIT_CARD: block, "*": redact}, answer: {"*": redact}, unscanned: block}
  looking: {prompt: {"*": redact}, answer: {"*": redact}, unscanned: alert}
  sealed: {prompt: {"*": alert}, answer: {"*": block}, unscanned: alert}
"""

SETTINGS: Final = "limits: {request_bytes: 2MiB}\n"

USABLE: Final = ["claude-sonnet-5-5", "gpt-3.5-turbo-instruct", "gpt-4o-mini", "omni-moderation-latest", "text-embedding-3-small"]
"""What the key `app` may use."""

MODELS: Final = {"chat": "gpt-4o-mini", "responses": "gpt-4o-mini", "messages": "claude-sonnet-5-5"}
"""What an app asks for where nothing else is said."""

FORBIDDEN: Final = {"chat": "gpt-4o", "responses": "gpt-4o", "messages": "claude-opus-5-5"}
"""Models that the key `app` may not use."""


@dataclass(frozen=True, slots=True)
class App:
    """An app that uses one client through one gate."""

    client: Client
    gate: Stack
    carry_out: Callable[[str, Ask], Outcome]

    def do(self, verb: str, *, key: str = "app", model: str = "", under: str = "", **more: Any) -> Outcome:
        """Do it with the client; an empty key is one of somebody else's. `under`: a path that the gate doesn't have."""
        secret = self.gate.key(key) if key else "sk-of-somebody-else"
        return self.carry_out(verb, Ask(self.gate.gateway + under, secret, model or MODELS[self.client.route], **more))

    def at(self, gate: Stack) -> App:
        """The same app with another gate."""
        return App(self.client, gate, self.carry_out)

    @property
    def forbidden(self) -> str:
        """A model that the key `app` may not use."""
        return FORBIDDEN[self.client.route]
