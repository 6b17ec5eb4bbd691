"""Calls that must not be made twice: the answer of the first is kept, sealed, in the transaction of its change.

(The Idempotency-Key header as draft-ietf-httpapi-idempotency-key-header has it.)
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from controlplane.estate import Changes, Estate
from controlplane.state import State
from controlplane.state.values import KeptAnswer, Reused
from controlplane.vault import Vault
from custody import store
from custody.kept_answer import kept_answer
from custody.secret import Secret


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call is answered."""

    status: int
    document: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """What a call made: `estate` of the one `before`, by `changes`."""

    before: Estate
    estate: Estate
    changes: Changes = field(default_factory=Changes)


Replying = Callable[[Made], Reply]
"""What a call is answered."""


def untold(_made: Made) -> Reply:
    """Answers nothing: for calls that change no record, whose answer is put together where they are made."""
    return Reply(200, {})


@dataclass(frozen=True, slots=True)
class Once:
    """A call by its idempotency `key`. `call`: method and path.

    `body`: digest of what it sent, kept under seal, because there may be a secret in it that is easily guessed.
    """

    key: str
    call: str
    body: str = field(repr=False)
    replying: Replying = field(repr=False, default=untold)

    @classmethod
    def of(cls, actor: str, key: str, call: str, raw: bytes, replying: Replying = untold) -> Once:
        """The call as it came in."""
        return cls(f"{actor}:{key}", call, hashlib.sha256(raw).hexdigest(), replying)

    def kept(self, state: State, vault: Vault) -> Reply | None:
        """What the same call was answered. Raises Reused where another call had this key."""
        found = state.answered(self.key)
        if found is None:
            return None
        document = json.loads(kept_answer(vault.keyring, self.key, found.sealed))
        if (found.digest, document["body"]) != (self.call, self.body):
            raise Reused
        return Reply(document["status"], document["document"], document["headers"])

    def sealed(self, vault: Vault, reply: Reply) -> KeptAnswer:
        """The answer as it is kept."""
        text = json.dumps({"body": self.body, **asdict(reply)}).encode()
        return KeptAnswer(self.key, self.call, vault.seal(store.answer(self.key), Secret(text)), int(time.time()))
