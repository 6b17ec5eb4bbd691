"""The kept answer of an idempotent call, opened to be given again. It may hold a virtual key that was shown once."""

from __future__ import annotations

from custody import store
from custody.keyring import Keyring
from custody.reveal import REVEAL


def kept_answer(keyring: Keyring, call: str, sealed: str) -> bytes:
    """What the call was answered. Only an answer's own label is opened, so no other record can be read by this way. Raises Unusable."""
    return keyring.open(store.answer(call), sealed).reveal(REVEAL)
